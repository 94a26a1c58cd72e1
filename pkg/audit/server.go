package audit

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/page"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// Server serves a log as the three RPCs that every service's AuditService
// has. The interceptors have authorised the call on its parent.
type Server struct{ log *Log }

// NewServer returns the server of a log.
func NewServer(l *Log) *Server { return &Server{log: l} }

// ListAuditEntries returns one page of entries, newest first. Its errors are
// Invalid: those of the parent, the filter and the page token.
func (s *Server) ListAuditEntries(ctx context.Context, req *auditv1.ListAuditEntriesRequest) (*auditv1.ListAuditEntriesResponse, error) {
	if err := checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	q := Query{Parent: req.GetParent()}
	if err := q.ParseFilter(req.GetFilter()); err != nil {
		return nil, err
	}
	caller, _ := authn.FromContext(ctx) // a token without a caller is bound to none
	bound := page.Fingerprint("ListAuditEntries", req.GetParent(), req.GetFilter(), caller.Name)
	var err error
	q.After, q.Limit, err = s.log.cfg.Pages.Start(page.Request{Size: req.GetPageSize(), Token: req.GetPageToken()}, bound)
	if err != nil {
		return nil, err
	}
	p, err := s.log.List(ctx, q)
	if err != nil {
		return nil, err
	}
	return &auditv1.ListAuditEntriesResponse{
		AuditEntries:  p.Entries,
		NextPageToken: s.log.cfg.Pages.Next(bound, p.Next),
	}, nil
}

// ExportAuditEntries sends the entries of a time range, oldest first. Its
// errors are Invalid, for the parent and the times.
func (s *Server) ExportAuditEntries(req *auditv1.ExportAuditEntriesRequest, stream grpc.ServerStreamingServer[auditv1.AuditEntry]) error {
	if err := checkParent(req.GetParent()); err != nil {
		return err
	}
	from, err := instant("start_time", req.GetStartTime())
	if err != nil {
		return err
	}
	until, err := instant("end_time", req.GetEndTime())
	if err != nil {
		return err
	}
	if until.IsZero() {
		// A busy log would otherwise have no end.
		until = s.log.cfg.Clock()
	}
	return s.log.Export(stream.Context(), req.GetParent(), from, until, stream.Send)
}

// VerifyAuditChain reports what Log.Verify finds.
func (s *Server) VerifyAuditChain(ctx context.Context, req *auditv1.VerifyAuditChainRequest) (*auditv1.VerifyAuditChainResponse, error) {
	if err := checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	return s.log.Verify(ctx, req.GetParent())
}

// instant returns the time of a field; zero when it is not set.
func instant(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if !t.IsValid() {
		return time.Time{}, errs.InvalidField(field, "TIMESTAMP_INVALID", "send an instant between the years 1 and 9999")
	}
	return t.AsTime(), nil
}
