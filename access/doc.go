// Package access is who comes in: people who log in to the pages, and gateways
// that connect to the broker. It issues, replaces and revokes credentials, judges
// what a client of the broker shows of itself, and watches how long certificates
// are still valid. Where accounts and credentials are kept it does not know:
// accesstest says what a backend has to do.
package access
