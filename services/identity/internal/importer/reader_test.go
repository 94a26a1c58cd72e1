package importer

import (
	"errors"
	"io"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
)

// FuzzReader holds that a file of any content gives lines in order, each with
// cells or a fault, or one refusal that says why.
func FuzzReader(f *testing.F) {
	f.Add("external_id,email\n1,a@example.com\n\n\"2\n\",x\n")
	f.Add("\xef\xbb\xbfexternal_id\r\n\"\"\"1\"\"\"\r\n\"x")
	f.Add("external_id\n\xff\n,\n\"a\"b\n")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := newReader(strings.NewReader(file), nil, ofCustomers())
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("the header is refused with %v", err)
			}
			return
		}
		for last := int64(0); ; {
			l, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				if errs.ReasonOf(err) != "IMPORT_LINE_TOO_LONG" {
					t.Fatalf("the file is refused with %v", err)
				}
				return
			}
			if l.number <= last {
				t.Fatalf("line %d comes after line %d", l.number, last)
			}
			last = l.number
			if (l.fault == nil) == (l.cells == nil) {
				t.Fatalf("line %d has a fault and cells, or neither", l.number)
			}
		}
	})
}

func TestReader_holdsNoMoreThanARecord(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("external_id\n1\n\""), zeros{})
	r, err := newReader(endless, nil, ofCustomers())
	if err != nil {
		t.Fatal(err)
	}
	if l, err := r.next(); err != nil || l.cells[externalID] != "1" {
		t.Fatalf("the first line is %v, %v", l, err)
	}
	if _, err := r.next(); errs.ReasonOf(err) != "IMPORT_LINE_TOO_LONG" {
		t.Errorf("a line without an end: %v", err)
	}
}

// zeros is an endless text of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
