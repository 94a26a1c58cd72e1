// Package purge removes for good what was deleted long enough ago: a group
// whose purge time is over, with its messages and members.
//
// It works in transactions of bounded size and takes up where it stopped after
// a crash: a group is forgotten last, when nothing of it is left. Several
// replicas may purge at once; they find each other's work done.
package purge

import (
	"context"
	"log/slog"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	"guildhall.dev/services/groupchat/internal/group"
	"guildhall.dev/services/groupchat/internal/message"
)

// Every is how often Run looks for groups to purge.
const Every = time.Minute

// chunk is how many messages one transaction removes.
const chunk = 500

// action names the act in the audit log.
const action = "guildhall.groupchat.purge"

// Purger purges groups. Its fields are all required.
type Purger struct {
	Store    kv.Store
	Journal  *change.Journal
	Groups   *group.Groups
	Messages *message.Messages
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Run purges what is due, now and every minute, until ctx ends.
func (p *Purger) Run(ctx context.Context) error {
	return rounds.Loop{Do: p.round, Failed: "deleted groups were not purged; trying again", Logger: p.Logger, Every: Every}.Run(ctx)
}

func (p *Purger) round(ctx context.Context) error {
	n, err := p.Once(ctx)
	if err == nil && n > 0 {
		p.Logger.InfoContext(ctx, "deleted groups purged", "count", n)
	}
	return err
}

// Once purges what is due and returns how many groups that was.
func (p *Purger) Once(ctx context.Context) (n int, err error) {
	for {
		var due []string
		err := p.Store.View(ctx, func(r kv.Reader) (err error) {
			due, err = p.Groups.Due(r, p.Clock(), 100)
			return err
		})
		if err != nil || len(due) == 0 {
			return n, err
		}
		for _, name := range due {
			if err := p.group(ctx, name); err != nil {
				return n, err
			}
			n++
		}
	}
}

// group purges one group: messages first, since a group that is still there
// is found again.
func (p *Purger) group(ctx context.Context, name string) error {
	for {
		var gone bool
		err := change.DoSystem(ctx, p.Journal, action, func(tx *change.Tx) (err error) {
			if still, err := p.Groups.IsDue(tx, name, tx.Time); err != nil || !still {
				gone = err == nil
				tx.Unchanged()
				return err
			}
			if gone, err = p.Messages.Purge(tx, name, chunk); err != nil {
				return err
			}
			if gone {
				gone, err = p.Groups.Purge(tx, name)
				return err
			}
			tx.Unchanged() // the group's own end is what the audit log keeps
			return nil
		})
		if err != nil || gone {
			return err
		}
	}
}
