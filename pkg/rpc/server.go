package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
)

// server is the chain of one gRPC server.
type server struct {
	cfg       Config
	rules     *authz.Rules
	guard     authz.Guard
	validator *Validator
	durations *durations
	// passes says that traces only pass through: nobody else reads them.
	passes  bool
	streams quota
	shapes  shapes
	masked  *masked
}

func newServer(cfg Config) (*server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	validator, err := NewValidator()
	if err != nil {
		return nil, err
	}
	durations, err := newDurations(cfg.Meter)
	if err != nil {
		return nil, err
	}
	masked, err := newMasked(cfg.Meter)
	if err != nil {
		return nil, err
	}
	return &server{
		cfg: cfg, masked: masked, shapes: shapes{files: cfg.files}, validator: validator, durations: durations, passes: !traced(cfg.Tracer),
		rules:   authz.LoadRules(cfg.files),
		guard:   authz.Guard{Checker: cfg.Checker, OnDenied: cfg.OnDenied},
		streams: quota{most: cfg.MaxStreams, open: make(map[string]int)},
	}, nil
}

func (s *server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	u := &unaryContext{}
	s.begin(&u.call, info.FullMethod)
	s.bound(s.passOn(ctx), u)
	defer u.end()
	ctx, c := context.Context(u), &u.call
	defer func() {
		// recover works only right here, in the deferred function itself.
		if err = s.end(ctx, c, recovered(recover(), err)); err != nil {
			resp = nil
		}
	}()
	if err := s.authenticate(ctx, c); err != nil {
		return nil, err
	}
	ctx = c.carried(ctx)
	if err := s.admit(c); err != nil {
		return nil, err
	}
	message, err := protoOf(req)
	if err != nil {
		return nil, err
	}
	if ctx, err = c.approve(ctx, message.ProtoReflect()); err != nil {
		return nil, err
	}
	var resources []string
	if c.rule.Asks(c.caller) {
		if resources, err = c.rule.Resources(message.ProtoReflect()); err != nil {
			return nil, err
		}
	}
	ctx, restricted, err := s.authorise(ctx, c, resources, message)
	if err != nil {
		return nil, err
	}
	if err := s.proven(c); err != nil {
		return nil, err
	}
	if hot, ok := info.Server.(Recognizer); !ok || !hot.Recognizes(message) {
		if err := s.validator.validateRequest(c.method, message); err != nil {
			return nil, err
		}
	}
	if restricted {
		return s.shown(ctx, c, resources, message, handler)
	}
	return handler(ctx, req)
}

func (s *server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	c := &call{}
	s.begin(c, info.FullMethod)
	ctx := context.WithValue(s.passOn(ss.Context()), callKey{}, c)
	g := &guardedStream{ServerStream: ss, s: s, c: c, ctx: ctx}
	defer func() { err = s.end(ctx, c, g.outcome(recovered(recover(), err))) }()
	if err := s.authenticate(ctx, c); err != nil {
		return err
	}
	authenticated := c.streamed(ctx)
	if err := s.admit(c); err != nil {
		return err
	}
	if authenticated, err = c.approve(authenticated, nil); err != nil {
		return err
	}
	if err := s.proven(c); err != nil {
		return err
	}
	release, err := s.streams.take(c.caller)
	if err != nil {
		return err
	}
	defer release()
	expiring, cancel := untilExpiry(authenticated, c.caller)
	defer cancel()
	g.ctx, g.end = context.WithCancelCause(expiring)
	if c.rule.VariesBy != "" {
		g.scope = s.guard.NewScope(c.caller, c.rule)
		g.scope.Before = func() error { return g.keep(g.recheck()) }
		g.ctx = authz.WithScope(g.ctx, g.scope)
	}
	defer g.end(nil)
	defer g.watch()()
	return handler(srv, g)
}

// authorise returns the context of a unary call that may go on, and whether
// field policies may keep something from its caller.
func (s *server) authorise(ctx context.Context, c *call, resources []string, request proto.Message) (context.Context, bool, error) {
	if c.rule.VariesBy == "" {
		answer, err := s.guard.Authorise(ctx, c.caller, c.rule, resources)
		return ctx, answer.Restricted, err
	}
	scope := s.guard.NewScope(c.caller, c.rule)
	err := s.open(ctx, scope, c, resources, request)
	return authz.WithScope(ctx, scope), scope.Restricted(), err
}

// open authorises a call whose rule varies.
func (s *server) open(ctx context.Context, scope *authz.Scope, c *call, resources []string, request proto.Message) error {
	return scope.Open(ctx, resources, func() (authz.Values, error) {
		if s.cfg.Values == nil {
			return authz.Values{}, errors.New("nobody says what the rule of the call varies by")
		}
		return s.cfg.Values(ctx, c.rule, request)
	})
}

// begin starts a call's record. The rule may be nil; admit refuses it then.
func (s *server) begin(c *call, method string) {
	c.method, c.rule, c.start = method, s.rules.Lookup(method), time.Now()
}

// passOn puts the caller's trace into the context of a server that records
// none.
func (s *server) passOn(ctx context.Context) context.Context {
	if !s.passes {
		return ctx
	}
	return passTrace(ctx)
}

// bound gives a unary call the time it has: what its caller grants it, but
// never none and never more than the server's limit.
func (s *server) bound(ctx context.Context, u *unaryContext) {
	granted, ok := ctx.Deadline()
	latest := u.call.start.Add(s.cfg.DefaultDeadline)
	if ok {
		latest = u.call.start.Add(s.cfg.MaxDeadline)
	}
	if ok && granted.Before(latest) {
		latest = granted
	}
	u.Context, u.deadline = ctx, latest
}

// admit refuses what no caller may do: an RPC without a rule, and a change
// while the process is read-only.
func (s *server) admit(c *call) error {
	if c.rule == nil {
		return errs.From(s.rules.Err(c.method))
	}
	if c.rule.Mutates && s.cfg.ReadOnly != nil && s.cfg.ReadOnly() {
		return errs.New(errs.Precondition, "READ_ONLY", "the service takes no changes at the moment")
	}
	return nil
}

// proven refuses a person who has not proven lately who they are, where the rule
// asks for it: behind authorisation, so that nobody proves it for nothing.
func (s *server) proven(c *call) error {
	if c.rule.StepUp == 0 {
		return nil
	}
	return s.cfg.Verifier.Proven(c.caller, c.rule.StepUp)
}

// untilExpiry ends a stream's context with the caller's token, so that a
// stream is never worth more than the token it was opened with; its client
// comes back with a fresh one. A sister service's stream goes on: its tokens
// live for a minute because it mints them itself, and it holds the key anyway.
func untilExpiry(ctx context.Context, caller authn.Caller) (context.Context, context.CancelFunc) {
	if caller.Name == "" || caller.Kind() == authn.System {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, caller.Expires.Add(authn.Skew), authn.Expired())
}

func protoOf(m any) (proto.Message, error) {
	if p, ok := m.(proto.Message); ok {
		return p, nil
	}
	return nil, errors.New("the message is no proto message")
}

func errForwarder() error {
	return errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the token is not valid here",
		errs.Cause(errors.New("not one proof of a known forwarder")))
}
