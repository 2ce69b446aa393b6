// Package eval is how good the numbers are: it makes files of a yard whose truth
// is known, runs estimates and forecasts over files for a scorer, looks back on
// the forecasts of a perron, and draws a day of them.
package eval
