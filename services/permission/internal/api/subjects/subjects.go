// Package subjects serves what service identity asks about one person's data:
// handlers that turn requests into calls of the centres and decide nothing.
package subjects

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/portability"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Register registers the service of this package.
func Register(r grpc.ServiceRegistrar, e *erasure.Eraser, p *portability.Exporter) {
	permissionv1.RegisterPermissionSubjectServiceServer(r, subjects{e, p})
}

// subjects implements permissionv1.PermissionSubjectServiceServer.
type subjects struct {
	eraser   *erasure.Eraser
	exporter *portability.Exporter
}

// EraseSubject erases what is kept of an account.
func (s subjects) EraseSubject(ctx context.Context, req *subjectv1.EraseSubjectRequest) (*subjectv1.EraseSubjectResponse, error) {
	if err := check(req.GetSubject()); err != nil {
		return nil, err
	}
	receipt, err := s.eraser.Erase(ctx, req.GetSubject())
	if err != nil {
		return nil, err
	}
	return &subjectv1.EraseSubjectResponse{Receipt: receipt}, nil
}

// ExportSubject returns a page of what is kept of an account.
func (s subjects) ExportSubject(ctx context.Context, req *subjectv1.ExportSubjectRequest) (*subjectv1.ExportSubjectResponse, error) {
	if err := check(req.GetSubject()); err != nil {
		return nil, err
	}
	return s.exporter.Export(ctx, req)
}

func check(account string) error {
	if !subject.IsAccount(account) {
		return errs.InvalidField("subject", "SUBJECT_INVALID", "name an account, as in organizations/acme/customers/c1")
	}
	return nil
}
