package api

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// importPatience is how long an import waits for permission, which may have many
// customers to hear of.
const importPatience = time.Minute

type importStream = grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]

// ImportCustomers reads a CSV file off the stream and answers each line.
func (s customers) ImportCustomers(stream importStream) error {
	options, file, err := Upload(stream.Recv, (*identityv1.ImportCustomersRequest).GetOptions)
	if err != nil {
		return err
	}
	if err := s.Importer.Import(stream.Context(), options, file, s.mayMove, stream.Send); err != nil || options.GetDryRun() {
		return err
	}
	return s.imported(stream.Context(), options.GetParent())
}

// imported waits until permission has heard of an import: once, for a wait with
// each batch would make it as slow as permission is. A run that changed nothing
// waits too, since the one before may have broken off here. Where no segment has
// a rule, nobody has moved.
func (s customers) imported(ctx context.Context, organization string) error {
	rules := false
	err := s.Store.View(ctx, func(r kv.Reader) (err error) {
		rules, err = s.Segments.HasRules(r, organization)
		return err
	})
	if err != nil || !rules {
		return err
	}
	return s.catchUp(ctx, importPatience)
}

// piece is a message of an import but for its options.
type piece interface{ GetData() []byte }

// Upload receives the options of an import, which are the first message of its
// stream, and returns them with the file that the following messages carry. Errors
// are those of the stream and Invalid (IMPORT_OPTIONS_MISSING).
func Upload[Q piece, O comparable](recv func() (Q, error), options func(Q) O) (o O, file io.Reader, err error) {
	var none O
	first, err := recv()
	if err != nil {
		return none, nil, err
	}
	if o = options(first); o == none {
		return none, nil, errs.InvalidField("options", "IMPORT_OPTIONS_MISSING", "the first message carries options, the following ones data")
	}
	return o, &chunks[Q]{recv: recv, repeats: func(m Q) bool { return options(m) != none }}, nil
}

// chunks is the file that a stream carries. It receives when it is read, in
// the handler's own goroutine: a client that sends faster than lines are
// written waits, by HTTP/2's flow control.
type chunks[Q piece] struct {
	recv    func() (Q, error)
	repeats func(Q) bool // the message has options again
	rest    []byte
}

// Read implements io.Reader. The stream's end is the file's.
func (c *chunks[Q]) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		m, err := c.recv()
		if err != nil {
			return 0, err
		}
		if c.repeats(m) {
			return 0, errs.InvalidField("options", "IMPORT_OPTIONS_REPEATED", "only the first message carries options")
		}
		c.rest = m.GetData()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
