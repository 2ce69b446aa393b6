// Package words says what is to be said of a site, in every language that has
// a file in locales/, and for every channel: page, websocket, sign, widget,
// push, phone and open data. A channel lays out what it gets; it composes no
// sentence.
//
// A [Statement] is what is to be said at one instant, and a [Fallback] is what is
// to be said when nothing more is heard: a channel that lost its connection
// shows an old state as unknown by itself.
//
// A language is one file: its messages with the plural forms of CLDR, the names
// of its days and months, how it writes times and dates, its own name and its
// direction. [Load] refuses a file that is not complete and names what is wrong
// with it. docs/add-a-language.md says how to add one.
//
// The package is pure: it knows the nouns of perron, the files and what it is
// handed.
package words
