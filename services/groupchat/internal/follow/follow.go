// Package follow applies what identity's feed says of members: an account that
// is gone for good leaves its groups, so that whoever gets its name later is in
// none of them.
//
// An event only notes the departure, in the transaction that moves the feed's
// cursor; an account may be in thousands of groups, so it leaves them one
// transaction at a time, and a crash in between loses nothing. Accounts that
// are suspended or deleted stay members: service permission denies them
// everything, and they may come back.
package follow

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/rounds"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	"guildhall.dev/services/groupchat/internal/group"
)

// Purged is the type of the events that are applied.
const Purged = "guildhall.identity.account.purged.v1"

const (
	// action names the act in the audit log.
	action = "groupchat.members.depart"
	every  = time.Second
	batch  = 100
)

// Follower applies events. Its fields are all required.
type Follower struct {
	Store   kv.Store
	Journal *change.Journal
	Groups  *group.Groups
	Moves   *move.Book
	Logger  *slog.Logger
}

// Apply notes a departure; other events have no effect.
func (f *Follower) Apply(tx kv.Tx, e *eventv1.Event) error {
	if e.GetType() != Purged {
		return nil
	}
	return f.Groups.Depart(tx, &storev1.Departure{Account: e.GetSubject(), Time: timestamppb.New(e.GetTime().AsTime())})
}

// Run takes the departed out of their groups, until ctx ends. Replicas may do
// so at once.
func (f *Follower) Run(ctx context.Context) error {
	return rounds.Loop{
		Do: f.once, Failed: "accounts that are gone were not taken out of their groups; trying again", Logger: f.Logger, Every: every,
	}.Run(ctx)
}

func (f *Follower) once(ctx context.Context) error {
	for {
		var gone []*storev1.Departure
		err := f.Store.View(ctx, func(r kv.Reader) (err error) {
			gone, err = f.Groups.Departures(r, batch)
			return err
		})
		if err != nil || len(gone) == 0 {
			return err
		}
		for _, d := range gone {
			if err := f.leaveAll(ctx, d); err != nil {
				return err
			}
		}
	}
}

func (f *Follower) leaveAll(ctx context.Context, d *storev1.Departure) error {
	for {
		var left string
		err := change.DoSystem(ctx, f.Journal, action, func(tx *change.Tx) (err error) {
			left, err = f.Groups.Leave(tx, d)
			return err
		})
		if err != nil || left == "" {
			return err
		}
	}
}
