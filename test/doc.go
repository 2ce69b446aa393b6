// Package test runs the built binaries as their users do: processes on free
// ports, real brokers and stores, recorded traffic, a browser, and kill -9.
package test
