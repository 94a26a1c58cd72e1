package api

import (
	"context"
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
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	options := first.GetOptions()
	if options == nil {
		return errs.InvalidField("options", "IMPORT_OPTIONS_MISSING", "the first message carries options, the following ones data")
	}
	if err := s.Importer.Import(stream.Context(), options, &chunks{stream: stream}, s.mayMove, stream.Send); err != nil || options.GetDryRun() {
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

// chunks is the file that a stream carries. It receives when it is read, in
// the handler's own goroutine: a client that sends faster than lines are
// written waits, by HTTP/2's flow control.
type chunks struct {
	stream importStream
	rest   []byte
}

// Read implements io.Reader. The stream's end is the file's.
func (c *chunks) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		m, err := c.stream.Recv()
		if err != nil {
			return 0, err
		}
		if m.GetOptions() != nil {
			return 0, errs.InvalidField("options", "IMPORT_OPTIONS_REPEATED", "only the first message carries options")
		}
		c.rest = m.GetData()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
