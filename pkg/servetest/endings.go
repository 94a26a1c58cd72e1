package servetest

import (
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Rights are what callers may do, as a test says it: everything, but for those
// from whom it was taken. The zero Rights are everybody's. It is safe for
// concurrent use.
type Rights struct {
	mu    sync.Mutex
	taken map[string]permissionv1.Denial
}

// Take takes a caller's rights, for a reason: that of an account that may not
// act at all, or any other for one that holds no permission any more.
func (r *Rights) Take(caller string, why permissionv1.Denial) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken == nil {
		r.taken = make(map[string]permissionv1.Denial)
	}
	r.taken[caller] = why
}

func (r *Rights) of(caller string) (why permissionv1.Denial, taken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	why, taken = r.taken[caller]
	return why, taken
}

// endsAll are the denials of those who may not act at all.
var endsAll = []permissionv1.Denial{permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED, permissionv1.Denial_DENIAL_SESSION_ENDED}

// May is for Options.May.
func (r *Rights) May(req authz.Request) bool {
	_, taken := r.of(req.Caller.Name)
	return !taken
}

// Standing is for Options.Standing.
func (r *Rights) Standing(c authn.Caller) error {
	if why, taken := r.of(c.Name); taken && slices.Contains(endsAll, why) {
		return authz.Refusal(why, "", "")
	}
	return nil
}

// endings are the ways in which a caller loses a stream, and what the stream
// says then.
var endings = []struct {
	name   string
	why    permissionv1.Denial
	kind   errs.Kind
	reason string
}{
	{"its session ends", permissionv1.Denial_DENIAL_SESSION_ENDED, errs.Unauthenticated, authz.ReasonSessionEnded},
	{"it is suspended", permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED, errs.Unauthenticated, authz.ReasonSuspended},
	{"its role is taken", permissionv1.Denial_DENIAL_NO_GRANT, errs.Denied, "PERMISSION_DENIED"},
}

// Ending is a stream whose end is tested. Start serves the service with these
// rights. Open opens the stream of a caller of the organisation, and returns
// when it stands; receive waits for what comes next. The caller and the other
// are accounts of the organisation.
type Ending struct {
	Organization, Caller, Other string

	Start func(t *testing.T, rights *Rights) *Server
	Open  func(t *testing.T, conn grpc.ClientConnInterface) (receive func() error)
}

// Test wants the stream to end with a clear reason when its caller's session
// ends, when the account is suspended, and when its role is taken, and that of
// another caller to go on.
func (e Ending) Test(t *testing.T) {
	for _, end := range endings {
		t.Run("when "+end.name, func(t *testing.T) {
			rights := &Rights{}
			s := e.Start(t, rights)
			own, other := e.Open(t, s.As(t, e.Caller)), e.Open(t, s.As(t, e.Other))
			rights.Take(e.Caller, end.why)
			s.Changed(e.Organization, e.Caller)
			wantEnd(t, own, end.kind, end.reason)
			// What ends the other's stream is the reason that it is given now.
			for _, next := range endings {
				if next.reason != end.reason {
					rights.Take(e.Other, next.why)
					s.Changed(e.Organization, e.Other)
					wantEnd(t, other, next.kind, next.reason)
					return
				}
			}
		})
	}
}

// Standing returns what receives from a stream that has answered once, and so
// is known to stand. It takes what opens a stream returns.
func Standing[T any](stream interface{ Recv() (*T, error) }, err error) func(t testing.TB) (receive func() error) {
	return func(t testing.TB) func() error {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		receive := func() error { _, err := stream.Recv(); return err }
		if err := receive(); err != nil {
			t.Fatal(err)
		}
		return receive
	}
}

// wantEnd receives until the stream ends.
func wantEnd(t *testing.T, receive func() error, kind errs.Kind, reason string) {
	t.Helper()
	for {
		err := receive()
		if err == nil {
			continue
		}
		if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
			t.Errorf("the stream ended with %v, want %s [%s]", err, kind, reason)
		}
		return
	}
}
