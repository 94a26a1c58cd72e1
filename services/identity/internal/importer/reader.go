package importer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"

	"guildhall.dev/pkg/errs"
)

// maxRecord is the most bytes of a record, its quotes included. It bounds what
// a file with a lone quote, which is one record to its end, can hold in memory.
const maxRecord = 64 << 10

// bufferSize is how far the CSV reader reads ahead.
const bufferSize = 32 << 10

// reader reads the lines of an import.
type reader struct {
	csv    *csv.Reader
	bound  *bound
	layout layout
}

// newReader reads the header of a file.
func newReader(file io.Reader, mapping map[string]string, f form) (*reader, error) {
	b := &bound{file: file}
	buffered := bufio.NewReaderSize(b, bufferSize)
	if start, _ := buffered.Peek(3); bytes.Equal(start, []byte("\xef\xbb\xbf")) {
		// A UTF-8 byte order mark, as spreadsheets write. Peek's error comes
		// again with the first read.
		if _, err := buffered.Discard(3); err != nil {
			return nil, err
		}
	}
	r := &reader{csv: csv.NewReader(buffered), bound: b}
	r.csv.FieldsPerRecord = -1 // judged per line, not by ending the file
	r.csv.ReuseRecord = true
	header, err := r.csv.Read()
	b.restart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, headerInvalid("the file is empty; its first line names the columns")
	case isSyntax(err):
		return nil, headerInvalid("the header is not CSV (RFC 4180); check its quotes")
	case err != nil:
		return nil, err
	}
	r.layout, err = newLayout(header, mapping, f)
	return r, err
}

func isSyntax(err error) bool {
	_, ok := errors.AsType[*csv.ParseError](err)
	return ok
}

// line is one record of the file. It has cells, or a fault.
type line struct {
	number int64
	cells  map[string]string // by field, trimmed; empty ones are left out
	fault  *fault
}

// fault is why a line is refused.
type fault struct{ reason, message, column string }

// next returns the next line, or io.EOF behind the last. Any other error ends
// the import; what is wrong with one line is in the line.
func (r *reader) next() (line, error) {
	record, err := r.csv.Read()
	r.bound.restart()
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		return line{number: int64(syntax.StartLine), fault: &fault{
			reason: "LINE_INVALID", message: "the line is not CSV (RFC 4180); check its quotes",
		}}, nil
	}
	if err != nil {
		return line{}, err
	}
	start, _ := r.csv.FieldPos(0)
	return r.read(int64(start), record), nil
}

func (r *reader) read(number int64, record []string) line {
	l := line{number: number}
	if len(record) != r.layout.width {
		l.fault = &fault{reason: "COLUMN_COUNT_MISMATCH", message: "the line has another number of columns than the header"}
		return l
	}
	l.cells = make(map[string]string, len(r.layout.columns))
	for _, c := range r.layout.columns {
		cell := record[c.index]
		if !utf8.ValidString(cell) {
			return line{number: number, fault: &fault{
				reason: "ENCODING_INVALID", message: "the value is not UTF-8; save the file as UTF-8", column: c.name,
			}}
		}
		if cell = trim(cell); cell != "" {
			l.cells[c.field] = cell
		}
	}
	return l
}

// bound is a file that may not go on for longer than a record without
// restart.
type bound struct {
	file io.Reader
	read int
}

func (b *bound) restart() { b.read = 0 }

func (b *bound) Read(p []byte) (int, error) {
	// What the reader above has in its buffer already counts for nothing, so a
	// record may be longer than maxRecord by one buffer.
	if b.read > maxRecord {
		return 0, errs.InvalidField("data", "IMPORT_LINE_TOO_LONG", "a line is longer than 64 KiB; check the file for a quote that is not closed")
	}
	n, err := b.file.Read(p)
	b.read += n
	return n, err
}
