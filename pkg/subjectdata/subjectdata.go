// Package subjectdata answers what service identity asks each service of the suite
// about the data of one customer: to erase it, and to give it out.
//
// It is the server of both RPCs, over what a service says of itself (packages
// erasure and portability), so that services answer alike. Who may ask, the protos
// say: nobody but service identity.
package subjectdata

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/portability"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// Server implements the subject services of the suite's services. It is safe for
// concurrent use.
type Server struct {
	eraser   *erasure.Eraser
	exporter *portability.Exporter
}

// NewServer returns the server of a service.
func NewServer(eraser *erasure.Eraser, exporter *portability.Exporter) *Server {
	return &Server{eraser: eraser, exporter: exporter}
}

// EraseSubject erases what is kept of a customer, and returns when all is gone.
// Errors are SUBJECT_INVALID and those of erasure.Eraser.
func (s *Server) EraseSubject(ctx context.Context, req *subjectv1.EraseSubjectRequest) (*subjectv1.EraseSubjectResponse, error) {
	if err := check(req.GetSubject()); err != nil {
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
	if err := check(req.GetSubject()); err != nil {
		return nil, err
	}
	return s.exporter.Export(ctx, req)
}

func check(subject string) error {
	if kind, _, ok := authn.ParseName(subject); !ok || kind != authn.Customer {
		return errs.InvalidField("subject", "SUBJECT_INVALID", "name a customer, as in organizations/acme/customers/c1")
	}
	return nil
}
