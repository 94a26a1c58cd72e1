// Command openapi finishes the OpenAPI document that protoc-gen-openapiv3 and
// openapiv3-merge produce, and writes it in a stable order.
//
// The generator names a path parameter after the request field, so the routes
// GET /v1/roles/{name} and PATCH /v1/roles/{role.name} come out as two paths of
// one shape, which OpenAPI forbids and client generators choke on. It also
// knows neither our error body nor how callers authenticate. What it cannot
// know is taken from a base document, written by hand.
//
//	openapi -base proto/openapi/base.json <merged.json >guildhall.openapi.json
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

// document is an OpenAPI document. It is a struct only so that the parts come
// out in the order in which people read them.
type document struct {
	OpenAPI    string     `json:"openapi"`
	Info       any        `json:"info"`
	Servers    any        `json:"servers,omitempty"`
	Security   any        `json:"security,omitempty"`
	Tags       []any      `json:"tags,omitempty"`
	Paths      paths      `json:"paths"`
	Components components `json:"components"`
	// Streams is only in the base document: the ids of operations that answer
	// with a stream, which the generator describes as one message.
	Streams []string `json:"x-streams,omitempty"`
}

type (
	object = map[string]any
	// paths maps a path to its operations by lower-case HTTP method.
	paths = map[string]object
	// components maps a kind ("schemas") to components by name.
	components = map[string]object
)

func main() {
	base := flag.String("base", "", "`file` with info, security and shared components")
	flag.Parse()
	if *base == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*base, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(basePath string, in io.Reader, out io.Writer) error {
	var doc, base document
	if err := json.NewDecoder(in).Decode(&doc); err != nil {
		return fmt.Errorf("merged document: %w", err)
	}
	text, err := os.ReadFile(basePath)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &base); err != nil {
		return fmt.Errorf("%s: %w", basePath, err)
	}
	if err := finish(&doc, base); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}
