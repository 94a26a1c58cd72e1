// Package openapi holds the OpenAPI 3.1 document of Guildhall's HTTP API, so
// that the gateway serves, and clients are generated from, exactly what the
// protos in the same commit say.
//
// guildhall.openapi.json is generated; base.json, the part that protos cannot
// say, is written by hand.
package openapi

import _ "embed"

// JSON is the document. Callers must not change it.
//
//go:embed guildhall.openapi.json
var JSON []byte
