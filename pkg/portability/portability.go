// Package portability gives out what a service keeps of one person, a page at a
// time: for the person to see (GDPR article 15, PIPL article 45) and to take
// elsewhere (GDPR article 20).
//
//	kinds      members ─────────▶ messages ─────────▶ end
//	positions  m1 m2 m3 …         g1/1 g1/4 g7/2 …
//	token      (kind, position of the last record given out)
//
// What a service keeps of people it says itself, as Kinds in the order in which
// they come out; the package walks them and knows none. It keeps nothing: a page
// token says where to go on and works for the person it was given for, so that an
// export goes on with another process. A page is one snapshot, an export is not:
// what is written meanwhile is in it or not, and nothing that stays is missed or
// comes twice.
package portability

import (
	"bytes"
	"context"
	"slices"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/mark"
	"guildhall.dev/pkg/page"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// defaultSize is how many records a page has when the request does not say.
const defaultSize = 100

// pageBytes is how much JSON the records of a page have together at most; only a
// record that is larger by itself is a larger page. It is well below the 4 MiB
// that gRPC clients take by default.
const pageBytes = 1 << 20

// Kind is one kind of record that a service keeps of people.
type Kind struct {
	// Name is as ErasedKind says it, as in "orders". It stays: tokens have it.
	Name string
	List List
}

// Config says what an Exporter needs, all of it.
type Config struct {
	// Service is the short name of the service, as in "permission".
	Service string
	Store   kv.Store
	Pages   *page.Codec
	// Kinds come out in this order. Their names differ.
	Kinds []Kind
}

// Exporter answers ExportSubject. It is safe for concurrent use.
type Exporter struct {
	cfg   Config
	marks mark.Reader
}

// New returns an exporter. It does no I/O.
func New(cfg Config) *Exporter { return &Exporter{cfg: cfg} }

// Export returns the page of a subject's records that a request asks for; of a
// subject that there is nothing of, an empty one. A page may be shorter than asked,
// even empty, before the end (AIP-158). Errors are those of page.Codec.Start, and
// what a kind's List returns.
func (e *Exporter) Export(ctx context.Context, req *subjectv1.ExportSubjectRequest) (*subjectv1.ExportSubjectResponse, error) {
	query := page.Fingerprint("ExportSubject", e.cfg.Service, req.GetSubject())
	after, size, err := e.cfg.Pages.Start(page.Request{Size: sizeOf(req.GetPageSize()), Token: req.GetPageToken()}, query)
	if err != nil {
		return nil, err
	}
	from, err := e.find(after)
	if err != nil {
		return nil, err
	}
	var w walk
	if err := e.cfg.Store.View(ctx, func(r kv.Reader) error {
		w = walk{exporter: e, subject: req.GetSubject(), left: size, place: from}
		return w.run(r)
	}); err != nil {
		return nil, err
	}
	resp := &subjectv1.ExportSubjectResponse{Records: w.records}
	if w.place.kind < len(e.cfg.Kinds) {
		resp.NextPageToken = e.cfg.Pages.Next(query, e.encode(w.place))
	}
	return resp, nil
}

func sizeOf(size int32) int32 {
	if size == 0 {
		return defaultSize
	}
	return size // the codec refuses what is negative, and bounds the rest
}

// place is where a walk goes on: in a kind, behind a position, nil for its first
// record.
type place struct {
	kind  int
	after []byte
}

// separator ends the kind's name in a token; no name has it.
const separator = 0

func (e *Exporter) encode(p place) []byte {
	return slices.Concat([]byte(e.cfg.Kinds[p.kind].Name), []byte{separator}, p.after)
}

// find undoes encode. A kind that this version does not have makes the token one
// that it did not make.
func (e *Exporter) find(token []byte) (place, error) {
	if token == nil {
		return place{}, nil
	}
	name, after, _ := bytes.Cut(token, []byte{separator})
	i := slices.IndexFunc(e.cfg.Kinds, func(k Kind) bool { return k.Name == string(name) })
	if i < 0 {
		return place{}, errs.InvalidField("page_token", "PAGE_TOKEN_INVALID", "the service has changed since; begin with the first page")
	}
	if len(after) == 0 {
		after = nil
	}
	return place{kind: i, after: after}, nil
}
