// Package openapi holds the document that describes the API and the server
// that is generated from it. The document comes first: change openapi.json,
// then run go generate.
package openapi

import _ "embed"

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config oapi-codegen.yaml -o openapi.gen.go openapi.json

// Document is the OpenAPI 3.0.3 document, as it is served.
//
//go:embed openapi.json
var Document []byte
