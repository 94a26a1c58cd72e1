package audit

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/rpc"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// FromContext returns an entry with what a running call says of its act: who,
// in which session, from where, by which RPC, in which trace. The caller sets
// the rest.
func FromContext(ctx context.Context) *auditv1.AuditEntry {
	e := &auditv1.AuditEntry{}
	if caller, ok := authn.FromContext(ctx); ok {
		e.Actor, e.Session = caller.Name, caller.Session
	}
	if method, ok := grpc.Method(ctx); ok {
		e.Action = method
	}
	if from := rpc.RemoteAddress(ctx); from.IsValid() {
		e.RemoteAddress = from.String()
	}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		e.TraceId = sc.TraceID().String()
	}
	return e
}
