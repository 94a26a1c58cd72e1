package portability

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// walk fills one page.
type walk struct {
	exporter *Exporter
	subject  string
	left     int // how many records still fit
	bytes    int // of JSON so far
	records  []*subjectv1.ExportedRecord

	place // where to go on: behind the last kind at the end
}

// run goes from kind to kind until the page is full or there is no more.
func (w *walk) run(r kv.Reader) error {
	kinds := w.exporter.cfg.Kinds
	for w.kind < len(kinds) && w.left > 0 {
		found, err := kinds[w.kind].List(r, w.subject, w.after, w.left)
		if err != nil {
			return fmt.Errorf("%s of a subject: %w", kinds[w.kind].Name, err)
		}
		full, err := w.take(found.Records)
		if err != nil || full {
			return err
		}
		switch {
		case found.Next == nil:
			w.kind, w.after = w.kind+1, nil
		case len(found.Records) == 0:
			w.after = found.Next
			return nil // it has looked at much in vain
		default:
			w.after = found.Next
		}
	}
	return nil
}

// take adds records to the page, and reports whether it is full before the last of
// them.
func (w *walk) take(records []Record) (full bool, err error) {
	for _, rec := range records {
		text, err := w.exporter.render(rec.Value)
		if err != nil {
			return false, err
		}
		if w.bytes += len(text); w.bytes > pageBytes && len(w.records) > 0 {
			return true, nil
		}
		w.records = append(w.records, &subjectv1.ExportedRecord{
			Kind: w.exporter.cfg.Kinds[w.kind].Name, Json: text,
		})
		w.after, w.left = rec.Position, w.left-1
	}
	return false, nil
}

// render returns a record as ExportedRecord.json says. protojson puts spaces in at
// random, so that nobody compares its bytes; without them a record that has not
// changed has the same text in each export.
func (e *Exporter) render(v proto.Message) (string, error) {
	v = proto.Clone(v)
	m := v.ProtoReflect()
	if etag := m.Descriptor().Fields().ByName("etag"); etag != nil {
		m.Clear(etag)
	}
	e.marks.ClearSecrets(v)
	text, err := protojson.Marshal(v)
	if err != nil {
		return "", broken(err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return "", broken(err)
	}
	return line.String(), nil
}

func broken(err error) error {
	return errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(fmt.Errorf("portability: a record in JSON: %w", err)))
}
