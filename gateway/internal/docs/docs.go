// Package docs serves the OpenAPI document and a page to read it with.
//
// The page is three files of our own, so it works without the internet and
// under a content security policy that allows nothing from elsewhere.
package docs

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

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
	page, script, style, document, permissions file
}

// New returns the files. permissions says for each operation, by its id in the
// OpenAPI document, which permission it needs, or "public" or "authenticated".
func New(permissions map[string]string) (*Docs, error) {
	text, err := json.Marshal(permissions)
	if err != nil {
		return nil, fmt.Errorf("encoding the permissions of the docs page: %w", err)
	}
	return &Docs{
		page:        newFile("text/html; charset=utf-8", page),
		script:      newFile("text/javascript; charset=utf-8", script),
		style:       newFile("text/css; charset=utf-8", style),
		document:    newFile("application/json", openapi.JSON),
		permissions: newFile("application/json", text),
	}, nil
}

// Page serves the page.
func (d *Docs) Page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	d.page.serve(w, r)
}

// Script serves the page's script.
func (d *Docs) Script(w http.ResponseWriter, r *http.Request) { d.script.serve(w, r) }

// Style serves the page's style sheet.
func (d *Docs) Style(w http.ResponseWriter, r *http.Request) { d.style.serve(w, r) }

// Permissions serves what New got.
func (d *Docs) Permissions(w http.ResponseWriter, r *http.Request) { d.permissions.serve(w, r) }

// Document serves the OpenAPI document, to any origin: it is public, and
// tools in browsers read it.
func (d *Docs) Document(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	d.document.serve(w, r)
}

// file is a file that does not change while the process runs.
type file struct {
	contentType, etag string
	content           []byte
}

func newFile(contentType string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{contentType, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, content}
}

// serve lets browsers keep the file and ask whether it is still the same.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
