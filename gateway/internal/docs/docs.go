// Package docs serves the OpenAPI document and a page to read it with.
//
// The page is three files of our own, so it works without the internet and
// under a content security policy that allows nothing from elsewhere.
package docs

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"guildhall.dev/gateway/internal/asset"
	"guildhall.dev/proto/openapi"
)

//go:embed page.html
var page []byte

//go:embed docs.js
var script []byte

//go:embed docs.css
var style []byte

// policy lets the page load its own files and talk to this server only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Docs serves its files to GET and HEAD. It is safe for concurrent use.
type Docs struct {
	page, script, style, document, permissions asset.File
}

// New returns the files. permissions says for each operation, by its id in the
// OpenAPI document, which permission it needs, or "public" or "authenticated".
func New(permissions map[string]string) (*Docs, error) {
	text, err := json.Marshal(permissions)
	if err != nil {
		return nil, fmt.Errorf("encoding the permissions of the docs page: %w", err)
	}
	return &Docs{
		page:        asset.New(asset.HTML, page),
		script:      asset.New(asset.Script, script),
		style:       asset.New(asset.Style, style),
		document:    asset.New(asset.JSON, openapi.JSON),
		permissions: asset.New(asset.JSON, text),
	}, nil
}

// Page serves the page.
func (d *Docs) Page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	d.page.Serve(w, r)
}

// Script serves the page's script.
func (d *Docs) Script(w http.ResponseWriter, r *http.Request) { d.script.Serve(w, r) }

// Style serves the page's style sheet.
func (d *Docs) Style(w http.ResponseWriter, r *http.Request) { d.style.Serve(w, r) }

// Permissions serves what New got.
func (d *Docs) Permissions(w http.ResponseWriter, r *http.Request) { d.permissions.Serve(w, r) }

// Document serves the OpenAPI document, to any origin: it is public, and
// tools in browsers read it.
func (d *Docs) Document(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	d.document.Serve(w, r)
}
