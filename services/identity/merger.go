package identity

import (
	"context"
	"slices"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/serve"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/merger"
	"guildhall.dev/services/identity/internal/shift"
)

// newMerger returns what makes two accounts of one customer one. The kinds are in the
// order in which merges that are under way have moved them: a new one goes to the end.
func newMerger(c *api.Centres, kit *serve.Kit) (*merger.Merger, error) {
	var services []merger.Service
	for _, s := range sisters(kit) {
		services = append(services, merger.Service{Name: s.name, Move: s.move})
	}
	return merger.New(merger.Config{
		Store: c.Store, Journal: c.Journal, Accounts: c.Accounts, Merges: c.Merges, Orders: c.Orders, Consents: c.Consents, Preferences: c.Preferences,
		Segments: c.Segments, Rights: c.Rights, Holds: c.Holds, Standing: c.Standings.Deliver, Services: services,
		Kinds: slices.Concat([]shift.Kind{
			c.Orders.Kind(), c.Interactions.Kind(), c.Consents.Kind(), c.Tasks.Kind(), c.Stages.Kind(), c.Holds.Kind(), c.Rights.Kind(),
		}, c.Ownerships.Kinds(), []shift.Kind{c.Preferences.Kind(), c.Timeline.Kind()}),
		Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
}

// withMerged makes an erasure one of all accounts that a customer had: those that were
// merged into it go first.
func withMerged(c *api.Centres, erase func(context.Context, string) (*subjectv1.ErasureReceipt, error)) func(context.Context, string) (*subjectv1.ErasureReceipt, error) {
	return func(ctx context.Context, customer string) (*subjectv1.ErasureReceipt, error) {
		var names []string
		if err := c.Store.View(ctx, func(r kv.Reader) (err error) {
			names, err = c.Merges.Tombstones(r, customer)
			return err
		}); err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, err := erase(ctx, name); err != nil {
				return nil, err
			}
		}
		return erase(ctx, customer)
	}
}
