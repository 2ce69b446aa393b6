// Package web makes the pages that people see: the resident's overview and
// perron page, the staff page and the planner page. Pages are rendered on the
// server and complete without scripts; a small script keeps them live over the
// API's websocket.
//
// What a page says is decided by pure functions from perron's nouns to view
// models (words.go, tile.go, chart.go, advice.go and so on); templates only lay
// it out. The words are in locales/, one file a language, and the script gets
// its words from the same files.
//
// Text is laid out in the direction of its language, and charts in the one in
// which time runs for its readers (direction.go, timeAxis in chart.go).
//
// The style in static/ is built by "npm run css" and checked in, so that the
// pages need no Node. The script is built into dist/ and optional: without it
// the pages refresh by themselves.
package web
