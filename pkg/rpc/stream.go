package rpc

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/watch"
)

// maxStreamResources bounds the resources that one client stream may be
// authorised for.
const maxStreamResources = 1000

// guardedStream is the stream that a handler gets. It authorises and validates
// each message before the handler sees it, sends nothing before the first one
// is authorised, and nothing on a permission that has since been revoked.
//
// The first message must name the rule's resource. Later ones of a client
// stream may leave it out; a new name among them is authorised like the first.
type guardedStream struct {
	grpc.ServerStream
	s   *server
	c   *call
	ctx context.Context

	// scope is nil where the rule does not vary.
	scope *authz.Scope

	// watched is nil for a stream that nothing can be revoked of; end ends ctx.
	watched *watch.Stream
	end     context.CancelCauseFunc

	// A handler may receive and send at the same time.
	mu       sync.Mutex
	admitted bool
	allowed  []string // resources that were authorised
	checked  time.Time
	changes  int   // how often something changed for the caller
	failed   error // ends the stream, whatever the handler makes of it
	// restricted is what the last check said of field policies.
	restricted bool
}

// Context ends with the call, with the caller's token, or when the caller may
// not go on.
func (g *guardedStream) Context() context.Context { return g.ctx }

func (g *guardedStream) RecvMsg(m any) error {
	if err := g.over(); err != nil {
		return err
	}
	if err := g.receive(m); err != nil {
		return g.transport(err)
	}
	if err := g.over(); err != nil {
		return err // it came when there was no right to send it any more
	}
	return g.keep(g.admit(m))
}

func (g *guardedStream) SendMsg(m any) error {
	if err := g.over(); err != nil {
		return err
	}
	if err := g.keep(g.recheck()); err != nil {
		return err
	}
	shown, err := g.show(m)
	if err != nil {
		return g.keep(err)
	}
	return g.transport(g.ServerStream.SendMsg(shown))
}

// admit authorises and validates one message from the client.
func (g *guardedStream) admit(m any) error {
	message, err := protoOf(m)
	if err != nil {
		return err
	}
	first := !g.isAdmitted()
	asks := g.c.rule.Asks(g.c.caller)
	if first || asks && !g.c.rule.Silent(message.ProtoReflect()) {
		var resources []string
		if asks {
			if resources, err = g.c.rule.Resources(message.ProtoReflect()); err != nil {
				return err
			}
		}
		if err := g.authorise(first, resources, message); err != nil {
			return err
		}
	}
	if err := g.s.validator.validateRequest(g.c.method, message); err != nil {
		return err
	}
	return g.mayAsk(message)
}

func (g *guardedStream) isAdmitted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.admitted
}

func (g *guardedStream) authorise(first bool, resources []string, message proto.Message) error {
	g.mu.Lock()
	fresh := slices.DeleteFunc(slices.Clone(resources), func(r string) bool { return slices.Contains(g.allowed, r) })
	total := len(g.allowed) + len(fresh)
	g.mu.Unlock()
	if len(fresh) == 0 && !first {
		return nil
	}
	if total > maxStreamResources {
		return errs.New(errs.Invalid, "TOO_MANY_RESOURCES", "name at most 1000 resources in one stream")
	}
	for {
		now, before := time.Now(), g.changed()
		restricted, err := g.open(fresh, message)
		if err != nil {
			return err
		}
		if g.allow(first, fresh, now, before, restricted) {
			return nil
		}
	}
}

// open asks for the first time, and whether field policies may keep something
// from the caller.
func (g *guardedStream) open(resources []string, message proto.Message) (restricted bool, err error) {
	if g.scope != nil {
		err = g.s.open(g.ctx, g.scope, g.c, resources, message)
		return g.scope.Restricted(), err
	}
	answer, err := g.s.guard.Authorise(g.ctx, g.c.caller, g.c.rule, resources)
	return answer.Restricted, err
}

// ask asks again for what was allowed; see open.
func (g *guardedStream) ask(resources []string) (restricted bool, err error) {
	if g.scope != nil {
		err = g.scope.Again(g.ctx)
		return g.scope.Restricted(), err
	}
	answer, err := g.s.guard.Authorise(g.ctx, g.c.caller, g.c.rule, resources)
	return answer.Restricted, err
}

// allow takes over that the resources were authorised, unless something has
// changed since: the answer may be from before.
func (g *guardedStream) allow(first bool, fresh []string, now time.Time, before int, restricted bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changes != before {
		return false
	}
	if first {
		g.checked = now
	}
	g.admitted = true
	g.restricted = restricted
	g.allowed = append(g.allowed, fresh...)
	return true
}

// recheck asks again when the last answer is too old to send on.
func (g *guardedStream) recheck() error {
	now := time.Now()
	g.mu.Lock()
	admitted, age, resources, before := g.admitted, now.Sub(g.checked), slices.Clone(g.allowed), g.changes
	g.mu.Unlock()
	if !admitted {
		return errors.New("the handler sent a message before it received one")
	}
	limit := g.s.cfg.Recheck
	if g.watched != nil && g.watched.Live() {
		limit = g.s.cfg.RecheckWatched
	}
	if age < limit || !g.c.rule.Asks(g.c.caller) {
		return nil
	}
	restricted, err := g.ask(resources)
	if err != nil {
		return err
	}
	g.setChecked(now)
	g.restrict(restricted, before)
	return nil
}

// over returns why the stream has ended, or nil while it goes on.
func (g *guardedStream) over() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed != nil {
		return g.failed
	}
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	return nil
}

// keep remembers the first error of ours, so that a handler that drops it does
// not go on.
func (g *guardedStream) keep(err error) error {
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = err
	}
	return err
}

// transport turns an error of the connection into one of ours.
func (g *guardedStream) transport(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	return FromStatus(err)
}

// outcome is how the call ends: a refusal of ours stands even when the handler
// returned something else, and so does the end of the token.
func (g *guardedStream) outcome(err error) error {
	if p, ok := err.(*panicError); ok {
		return p
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed != nil {
		return g.failed
	}
	cause := context.Cause(g.ctx)
	ended := err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if expired := errs.ReasonOf(cause) == "TOKEN_EXPIRED"; expired && ended {
		return cause
	}
	return err
}
