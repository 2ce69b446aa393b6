// Package web makes the pages that people see: the resident's overview and
// perron page, the staff page and the planner page. Pages are rendered on the
// server and complete without scripts; a small script keeps them live over the
// API's websocket.
//
// What is said of a site is decided by package words; what a page shows by pure
// functions from perron's nouns to view models (resident.go, chart.go, week.go,
// planner.go, staffview.go and so on). Templates only lay it out, and so does the
// script: it gets its sentences from the websocket and from the page.
//
// Text is laid out in the direction of its language, and charts in the one in
// which time runs for its readers (direction.go, timeAxis in chart.go).
//
// The style in static/ is built by "npm run css" and checked in, so that the
// pages need no Node. The script is built into dist/ and optional: without it
// the pages refresh by themselves. docs/add-a-page.md says what a new page takes.
package web
