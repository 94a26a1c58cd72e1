package servetest

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// Identity is the caller for whom the subject services are.
const Identity = "services/identity"

// Subjects is the client of a service's subject service.
type Subjects interface {
	EraseSubject(context.Context, *subjectv1.EraseSubjectRequest, ...grpc.CallOption) (*subjectv1.EraseSubjectResponse, error)
	ExportSubject(context.Context, *subjectv1.ExportSubjectRequest, ...grpc.CallOption) (*subjectv1.ExportSubjectResponse, error)
	MoveSubject(context.Context, *subjectv1.MoveSubjectRequest, ...grpc.CallOption) (*subjectv1.MoveSubjectResponse, error)
}

// Erase erases a customer. It wants a complete receipt, and the same one once more,
// and returns it with its counts by kind.
func Erase(t testing.TB, c Subjects, customer string) (receipt *subjectv1.ErasureReceipt, counts map[string]int64) {
	t.Helper()
	for range 2 {
		resp, err := c.EraseSubject(t.Context(), &subjectv1.EraseSubjectRequest{Subject: customer})
		if err != nil {
			t.Fatal(err)
		}
		if receipt != nil && !proto.Equal(receipt, resp.GetReceipt()) {
			t.Errorf("a second erasure gives %v, want %v", resp.GetReceipt(), receipt)
		}
		receipt = resp.GetReceipt()
	}
	if receipt.GetSubject() != customer || receipt.GetCompleteTime() == nil || len(receipt.GetDigest()) != 64 {
		t.Errorf("the receipt is %v", receipt)
	}
	counts = map[string]int64{}
	for _, k := range receipt.GetKinds() {
		counts[k.GetKind()] = k.GetCount()
	}
	return receipt, counts
}

// Export returns all records of a customer. It wants the same ones in pages of any
// size, and no token of theirs to serve for another customer.
func Export(t testing.TB, c Subjects, customer, other string) []*subjectv1.ExportedRecord {
	t.Helper()
	whole, _ := export(t, c, customer, 0)
	for size := int32(1); size < 5; size++ {
		got, token := export(t, c, customer, size)
		if !slices.EqualFunc(got, whole, func(a, b *subjectv1.ExportedRecord) bool { return proto.Equal(a, b) }) {
			t.Errorf("in pages of %d: %v, want %v", size, got, whole)
		}
		if token == "" {
			continue
		}
		_, err := c.ExportSubject(t.Context(), &subjectv1.ExportSubjectRequest{Subject: other, PageToken: token})
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "PAGE_TOKEN_MISMATCH" {
			t.Errorf("a token for another customer: %v, want PAGE_TOKEN_MISMATCH", err)
		}
	}
	_, err := c.ExportSubject(t.Context(), &subjectv1.ExportSubjectRequest{Subject: customer, PageToken: "AAAA"})
	if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "PAGE_TOKEN_INVALID" {
		t.Errorf("a token that is made up: %v, want PAGE_TOKEN_INVALID", err)
	}
	return whole
}

// export returns the records in pages of a size, and a token that was on the way.
func export(t testing.TB, c Subjects, customer string, size int32) (all []*subjectv1.ExportedRecord, token string) {
	t.Helper()
	req := &subjectv1.ExportSubjectRequest{Subject: customer, PageSize: size}
	for {
		resp, err := c.ExportSubject(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, resp.GetRecords()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all, token
		}
		token = req.PageToken
	}
}

// TestSubjects wants all RPCs to refuse whoever is not identity, and what is no
// customer, and to find nothing of a customer of whom there is nothing.
func TestSubjects[C Subjects](t *testing.T, s *Server, client func(grpc.ClientConnInterface) C, customer, staff string) {
	all := func(as, subject string) [3]error {
		c := client(s.As(t, as))
		_, erase := c.EraseSubject(t.Context(), &subjectv1.EraseSubjectRequest{Subject: subject})
		_, export := c.ExportSubject(t.Context(), &subjectv1.ExportSubjectRequest{Subject: subject})
		_, move := c.MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{Merge: Merge, From: subject, To: customer + "-2"})
		return [3]error{erase, export, move}
	}
	for _, as := range []string{customer, staff, "services/gateway", "services/feedback", "services/groupchat"} {
		for i, err := range all(as, customer) {
			if !errs.Is(err, errs.Denied) {
				t.Errorf("RPC %d as %s: %v, want Denied", i, as, err)
			}
		}
	}
	for _, name := range []string{staff, "organizations/acme", "mei"} {
		for i, err := range all(Identity, name) {
			if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "SUBJECT_INVALID" {
				t.Errorf("RPC %d for %s: %v, want SUBJECT_INVALID", i, name, err)
			}
		}
	}
	c := client(s.As(t, Identity))
	refusesMoves(t, c, customer)
	if receipt, counts := Move(t, c, customer, customer+"-2", false); len(counts) != 0 {
		t.Errorf("the receipt of a move of nothing is %v", receipt)
	}
	if got := Export(t, c, customer, staff); len(got) != 0 {
		t.Errorf("the export of nothing is %v", got)
	}
	if receipt, counts := Erase(t, c, customer); len(counts) != 0 {
		t.Errorf("the receipt of nothing is %v", receipt)
	}
}

// Unindex makes the store one from before the indexes, and from before any
// migration: their raw tables are empty.
func (s *Server) Unindex(t testing.TB, tables ...string) {
	t.Helper()
	if err := s.Store.Update(t.Context(), func(tx kv.Tx) error {
		for _, table := range append(tables, "kv_migrations") {
			for item, err := range tx.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				if err := tx.Delete(table, item.Key); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
