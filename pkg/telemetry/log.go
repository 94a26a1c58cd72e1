package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"reflect"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/mark"
)

// LogConfig says what logs look like.
type LogConfig struct {
	// Level is the least severity written.
	Level slog.Leveler
	// JSON writes JSON lines instead of logfmt.
	JSON bool
}

// NewLogger returns a logger that writes to w. Lines written with a context
// carry its trace_id, span_id and request_id. Proto messages among the
// attributes are written as JSON, redacted: see Redact.
func NewLogger(w io.Writer, cfg LogConfig) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: replace}
	var inner slog.Handler = slog.NewTextHandler(w, opts)
	if cfg.JSON {
		inner = slog.NewJSONHandler(w, opts)
	}
	return slog.New(&handler{inner})
}

// ParseLevel reads "debug", "info", "warn" or "error"; anything else is info.
func ParseLevel(name string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// RequestIDKey is the key of a context's value that is the request id, a string:
// for contexts that answer to it by themselves.
type RequestIDKey struct{}

// WithRequestID returns a context whose log lines carry the request id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, RequestIDKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(RequestIDKey{}).(string)
	return id
}

// handler adds what the context says.
type handler struct{ slog.Handler }

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	if id := RequestID(ctx); id != "" {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name)}
}

// Redact returns a copy of m that may be logged: fields that the protos mark
// as personal data or secret are hidden, and so are unknown ones. See
// mark.Redact; a logger of NewLogger does this by itself.
func Redact(m proto.Message) proto.Message { return mark.Redact(m) }

// replace keeps proto messages among the attributes readable and harmless.
func replace(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if text, ok := protoText(a.Value.Any()); ok {
			a.Value = slog.StringValue(text)
		}
	}
	return a
}

// text writes a message, or a list of messages, as JSON.
func protoText(v any) (string, bool) {
	if m, ok := v.(proto.Message); ok {
		return string(protoJSON(m)), true
	}
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice || !list.Type().Elem().Implements(reflect.TypeFor[proto.Message]()) {
		return "", false
	}
	parts := make([]json.RawMessage, list.Len())
	for i := range parts {
		m, _ := list.Index(i).Interface().(proto.Message)
		parts[i] = protoJSON(m)
	}
	text, err := json.Marshal(parts)
	return string(text), err == nil
}

func protoJSON(m proto.Message) json.RawMessage {
	if m == nil || !m.ProtoReflect().IsValid() {
		return json.RawMessage("null")
	}
	text, err := protojson.Marshal(mark.Redact(m))
	if err != nil {
		// The message's own text could quote what is marked.
		return json.RawMessage(`"a message that cannot be printed"`)
	}
	return text
}
