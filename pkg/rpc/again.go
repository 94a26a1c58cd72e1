package rpc

import (
	"context"
	"slices"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/watch"
)

// watch enters the stream among those that are authorised again when something
// changes for their callers. A sister service's is not: what it may call is in
// the protos.
func (g *guardedStream) watch() (release func()) {
	asks := g.c.rule.Access == authz.ByPermission || g.c.rule.Access == authz.Authenticated
	if g.s.cfg.Streams == nil || !asks || g.c.caller.Kind() == authn.System {
		return func() {}
	}
	g.watched = g.s.cfg.Streams.Open(g.c.caller, g.again)
	return g.watched.Close
}

// changed returns how often something has changed for the caller.
func (g *guardedStream) changed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changes
}

// again authorises the stream anew, because something has changed for its
// caller, and ends it when that is refused.
func (g *guardedStream) again(context.Context) watch.Verdict {
	g.mu.Lock()
	g.changes++
	before := g.changes
	admitted, resources := g.admitted && g.failed == nil, slices.Clone(g.allowed)
	g.mu.Unlock()
	if !admitted {
		return watch.Verdict{} // whoever authorises it sees that something changed
	}
	now := time.Now()
	// The stream's own context: it says who asks, and ends with the stream.
	restricted, err := g.ask(resources)
	switch {
	case g.ctx.Err() != nil:
		return watch.Verdict{}
	case err == nil:
		g.setChecked(now)
		g.restrict(restricted, before)
		return watch.Verdict{}
	case errs.Is(err, errs.Denied) || errs.Is(err, errs.Unauthenticated) || errs.Is(err, errs.NotFound):
		err = g.keep(err)
		g.end(err)
		return watch.Verdict{Ended: errs.ReasonOf(err)}
	default:
		g.setChecked(time.Time{}) // nothing is sent until it is known
		return watch.Verdict{Unknown: true}
	}
}

func (g *guardedStream) setChecked(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checked = at
}
