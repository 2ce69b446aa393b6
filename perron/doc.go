// Package perron is the vocabulary of Perrondrukte: the nouns that every step
// of the flow shares. It knows sites, gates and sensors, passages and
// presences, opening hours and Dutch holidays, the live busyness of a site and
// its forecast. It imports the standard library only, does no I/O and never
// asks for the time: whatever depends on "now" takes it as an argument.
//
// All times are UTC unless a name says civil or local; civil computations use
// [Amsterdam].
package perron
