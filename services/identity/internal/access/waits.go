package access

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
)

// Waits returns what counts against an account. The error is NotFound
// (CUSTOMER_NOT_FOUND, STAFF_MEMBER_NOT_FOUND).
func (g *Gate) Waits(r kv.Reader, name string) (*identityv1.LoginThrottle, error) {
	rec, err := g.cfg.Accounts.Get(r, name)
	if err != nil {
		return nil, err
	}
	look, err := g.cfg.Waits.Look(r, organizationOf(name), identifiers(rec.Value), g.cfg.Clock())
	if err != nil {
		return nil, err
	}
	out := &identityv1.LoginThrottle{Name: name + "/loginThrottle", AttemptCount: int32(look.Attempts), WaitingCount: int32(look.Waiting)}
	if !look.Ready.IsZero() {
		out.ReadyTime = timestamppb.New(look.Ready)
	}
	return out, nil
}

// ClearWaits forgets what counts against an account, and records it if there
// was something. Errors are those of Waits.
func (g *Gate) ClearWaits(tx *change.Tx, name string) (*identityv1.LoginThrottle, error) {
	rec, err := g.cfg.Accounts.Get(tx, name)
	if err != nil {
		return nil, err
	}
	switch n, err := g.cfg.Waits.Clear(tx, organizationOf(name), identifiers(rec.Value)); {
	case err != nil:
		return nil, err
	case n == 0:
		tx.Unchanged()
	default:
		tx.Record(change.Change{Resource: name, ChangedFields: []string{"login_throttle"}})
	}
	return g.Waits(tx, name)
}

// identifiers are what may be typed for an account.
func identifiers(a *storev1.Account) []string {
	out := []string{a.GetName()}
	if a.GetEmail() != "" {
		out = append(out, contact.FoldEmail(a.GetEmail()))
	}
	return out
}
