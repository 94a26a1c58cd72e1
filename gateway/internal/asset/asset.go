// Package asset serves files of our own that pages load: scripts and styles that a
// content security policy names, and that browsers keep for as long as they are the
// same.
package asset

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// Types of files.
const (
	HTML   = "text/html; charset=utf-8"
	Script = "text/javascript; charset=utf-8"
	Style  = "text/css; charset=utf-8"
	JSON   = "application/json"
)

// File is a file that does not change while the process runs. It is safe for
// concurrent use.
type File struct {
	contentType, etag string
	content           []byte
}

// New returns a file of a type.
func New(contentType string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{contentType, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, content}
}

// Serve lets browsers keep the file and ask whether it is still the same.
func (f File) Serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
