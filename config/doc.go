// Package config reads the two configuration files of Perrondrukte: that of
// the server, which names the sites, and that of a gateway.
//
// Reading goes in three steps: defaults, then a strict decode in which an
// unknown key is a fault, then validation. All faults of a file are reported
// at once, in the order of their lines, each with the field, its value and
// what would be right. Secrets never appear in a message or when a
// configuration is printed.
package config

//go:generate go run ./schema
