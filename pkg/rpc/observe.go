package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/telemetry"
)

// panicError is a panic that was caught. Its text goes to the log only.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovered returns err, or the panic in its place. It takes the value of
// recover() rather than calling it: recover works only in the function that is
// deferred.
func recovered(value any, err error) error {
	if value == nil {
		return err
	}
	return &panicError{value: value, stack: debug.Stack()}
}

// end writes the call's one log line and returns the error as it is sent. It
// is the only place where a cause is logged.
func (s *server) end(ctx context.Context, c *call, err error) error {
	var st *status.Status // OK
	if err != nil {
		st = ToStatus(err, c.id())
	}
	s.durations.record(ctx, c, st.Code())
	level := levelOf(c, st.Code())
	if s.cfg.Logger.Enabled(ctx, level) {
		s.cfg.Logger.LogAttrs(telemetry.WithRequestID(ctx, c.id()), level, "call", attributes(c, st.Code(), err)...)
	}
	return st.Err()
}

func attributes(c *call, code codes.Code, err error) []slog.Attr {
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("method", c.method),
		slog.String("code", code.String()),
		slog.Duration("duration", time.Since(c.start)),
	)
	if c.caller.Name != "" {
		attrs = append(attrs, slog.String("caller", c.caller.Name))
	}
	if err == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("reason", known(err).Reason), slog.String("error", err.Error()))
	if p, ok := err.(*panicError); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	return attrs
}

// levelOf is Error for what somebody has to repair, Warn for what passes, and
// Info for callers' mistakes. Health checks, and what sister services read
// for every call of their own, would drown the rest.
func levelOf(c *call, code codes.Code) slog.Level {
	switch code {
	case kindCodes[errs.Internal]:
		return slog.LevelError
	case kindCodes[errs.Unavailable], kindCodes[errs.DeadlineExceeded]:
		return slog.LevelWarn
	}
	if strings.HasPrefix(c.method, "/grpc.") || code == codes.OK && c.fromSister() && !c.rule.Mutates {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
