// Package subjectdata answers what service identity asks each service of the suite
// about the data of one customer: to erase it, to give it out, and to move it to
// another account of the same person.
//
// It is the server of these RPCs, over what a service says of itself (packages
// erasure, portability and move), so that services answer alike. Who may ask, the
// protos say: nobody but service identity.
package subjectdata

import (
	"cmp"
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/resource"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// Server implements the subject services of the suite's services. It is safe for
// concurrent use.
type Server struct {
	eraser   *erasure.Eraser
	exporter *portability.Exporter
	mover    *move.Mover
}

// NewServer returns the server of a service.
func NewServer(eraser *erasure.Eraser, exporter *portability.Exporter, mover *move.Mover) *Server {
	return &Server{eraser: eraser, exporter: exporter, mover: mover}
}

// Run does the background work until ctx ends: it removes what moves that are final
// were kept by.
func (s *Server) Run(ctx context.Context) error { return s.mover.Run(ctx) }

// Books are what a service keeps of the erasures and the moves that it has made.
type Books struct {
	Erasures *erasure.Book
	Moves    *move.Book
}

// NewBooks returns the books of a service. It does no I/O.
func NewBooks() Books { return Books{Erasures: erasure.New(), Moves: move.New()} }

// Tables returns the raw tables of the books.
func (b Books) Tables() []string { return append(b.Erasures.Tables(), b.Moves.Tables()...) }

// Refuse refuses, in a transaction that writes under the names of customers, those of
// whom there is to be nothing: Precondition (CUSTOMER_ERASED, CUSTOMER_MERGED). An
// empty name is none.
func (b Books) Refuse(r kv.Reader, customers ...string) error {
	if err := b.Erasures.Refuse(r, customers...); err != nil {
		return err
	}
	return b.Moves.Refuse(r, customers...)
}

// EraseSubject erases what is kept of a customer, and returns when all is gone.
// Errors are SUBJECT_INVALID and those of erasure.Eraser.
func (s *Server) EraseSubject(ctx context.Context, req *subjectv1.EraseSubjectRequest) (*subjectv1.EraseSubjectResponse, error) {
	if err := check("subject", req.GetSubject()); err != nil {
		return nil, err
	}
	receipt, err := s.eraser.Erase(ctx, req.GetSubject())
	if err != nil {
		return nil, err
	}
	return &subjectv1.EraseSubjectResponse{Receipt: receipt}, nil
}

// ExportSubject returns a page of what is kept of a customer. Errors are
// SUBJECT_INVALID and those of portability.Exporter.
func (s *Server) ExportSubject(ctx context.Context, req *subjectv1.ExportSubjectRequest) (*subjectv1.ExportSubjectResponse, error) {
	if err := check("subject", req.GetSubject()); err != nil {
		return nil, err
	}
	return s.exporter.Export(ctx, req)
}

// merges is the form of the names of merges.
const merges = resource.Pattern("organizations/{organization}/mergeRecords/{merge_record}")

// MoveSubject moves what is kept of a customer to another one, or brings it back, and
// returns when all is. Errors are SUBJECT_INVALID, MERGE_INVALID and those of
// move.Mover.
func (s *Server) MoveSubject(ctx context.Context, req *subjectv1.MoveSubjectRequest) (*subjectv1.MoveSubjectResponse, error) {
	if err := cmp.Or(check("from", req.GetFrom()), check("to", req.GetTo())); err != nil {
		return nil, err
	}
	home, _ := resource.Organization(req.GetFrom())
	if other, _ := resource.Organization(req.GetTo()); other != home || req.GetTo() == req.GetFrom() {
		return nil, errs.InvalidField("to", "SUBJECT_INVALID", "name another customer of the same organization")
	}
	if in, _ := resource.Organization(req.GetMerge()); in != home || !merges.Matches(req.GetMerge()) {
		return nil, errs.InvalidField("merge", "MERGE_INVALID", "name the merge, as in organizations/acme/mergeRecords/m1, of the same organization")
	}
	receipt, err := s.mover.Move(ctx, req)
	if err != nil {
		return nil, err
	}
	return &subjectv1.MoveSubjectResponse{Receipt: receipt}, nil
}

func check(field, subject string) error {
	if kind, _, ok := authn.ParseName(subject); !ok || kind != authn.Customer {
		return errs.InvalidField(field, "SUBJECT_INVALID", "name a customer, as in organizations/acme/customers/c1")
	}
	return nil
}
