package groupchat

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// Values says which types the messages of a request may have; see
// serve.ValueSource.
func (s *Service) Values(ctx context.Context, rule *authz.Rule, request proto.Message) (authz.Values, error) {
	return s.api.Values(ctx, rule, request)
}

// OnDenied keeps a refused call in the audit log, and counts what was refused
// for the type of one message.
func (s *Service) OnDenied(ctx context.Context, r authz.Request, method string) {
	s.journal.OnDenied(ctx, r, method)
	id := r.Attributes.GetMessageType()
	if id == "" {
		return
	}
	if !taxonomy.IsBuiltIn(id) {
		id = "custom" // organisations make as many as they like
	}
	verb := r.Permission[strings.LastIndexByte(r.Permission, '.')+1:]
	s.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("type", id), attribute.String("verb", verb)))
}

func refusals(meter metric.Meter) (metric.Int64Counter, error) {
	return meter.Int64Counter("guildhall.groupchat.messages.denied",
		metric.WithDescription("Attempts on one message that were refused, by its type (a built-in one, or custom) and what was tried."))
}
