package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"iter"
	"unicode/utf8"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/review"
)

// ExportAccessReviewEvidence implements permissionv1.AccessReviewServiceServer.
func (s *reviews) ExportAccessReviewEvidence(req *permissionv1.ExportAccessReviewEvidenceRequest, stream grpc.ServerStreamingServer[permissionv1.ExportAccessReviewEvidenceResponse]) error {
	if err := review.Pattern.Check("name", req.GetName()); err != nil {
		return err
	}
	v, err := journal.Read(stream.Context(), s.Journal, func(r kv.Reader) (*permissionv1.AccessReview, error) {
		return s.Reviews.Get(r, req.GetName())
	})
	if err != nil {
		return err
	}
	write := review.WriteCSV
	if req.GetFormat() == permissionv1.ExportAccessReviewEvidenceRequest_FORMAT_JSON {
		write = review.WriteJSON
	}
	w := &parts{send: stream.Send, sum: sha256.New()}
	if err := write(w, v, s.allItems(stream, req.GetName())); err != nil {
		return err
	}
	return w.close()
}

// allItems yields a review's items, page by page: a slow client holds no
// snapshot of the store.
func (s *reviews) allItems(stream grpc.ServerStream, name string) iter.Seq2[*permissionv1.AccessReviewItem, error] {
	const size = 500
	return func(yield func(*permissionv1.AccessReviewItem, error) bool) {
		for after, more := []byte(nil), true; more; more = after != nil {
			var items []*permissionv1.AccessReviewItem
			var next []byte
			err := s.Journal.Store.View(stream.Context(), func(r kv.Reader) (err error) {
				items, next, err = s.Reviews.ListItems(r, name, "", after, size)
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, it := range items {
				if !yield(it, nil) {
					return
				}
			}
			after = next
		}
	}
}

// partSize is about how much of a file one message carries.
const partSize = 64 << 10

// parts sends what is written to it in messages of moderate size.
type parts struct {
	send func(*permissionv1.ExportAccessReviewEvidenceResponse) error
	sum  hash.Hash
	held []byte
}

// Write implements io.Writer.
func (p *parts) Write(b []byte) (int, error) {
	p.sum.Write(b)
	p.held = append(p.held, b...)
	if len(p.held) < partSize {
		return len(b), nil
	}
	whole := len(p.held) // less what a writer's buffer has cut a character at
	for whole > 0 && !utf8.Valid(p.held[:whole]) {
		whole--
	}
	err := p.send(&permissionv1.ExportAccessReviewEvidenceResponse{Data: string(p.held[:whole])})
	p.held = append([]byte(nil), p.held[whole:]...)
	return len(b), err
}

// close sends what is left, with the checksum of all.
func (p *parts) close() error {
	return p.send(&permissionv1.ExportAccessReviewEvidenceResponse{
		Data: string(p.held), Checksum: hex.EncodeToString(p.sum.Sum(nil)),
	})
}
