package live

import (
	"context"
	"sync"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/groupchat/internal/group"
	"guildhall.dev/services/groupchat/internal/message"
)

// Watch remembers what followed groups looked like, to tell which have
// changed. It is safe for concurrent use.
type Watch struct {
	store    kv.Store
	groups   *group.Groups
	messages *message.Messages

	mu   sync.Mutex
	seen map[string]state
}

// state is all of a group that a stream has to hear of.
type state struct {
	sequence, recalls int64
	members           int64
	deleted           bool
}

// NewWatch returns a watch over the groups of a store.
func NewWatch(store kv.Store, groups *group.Groups, messages *message.Messages) *Watch {
	return &Watch{store: store, groups: groups, messages: messages}
}

// Changed returns those of the groups that look different from the last call,
// and those that the last call did not ask about. It forgets all others.
func (w *Watch) Changed(ctx context.Context, groups []string) ([]string, error) {
	now := make(map[string]state, len(groups))
	err := w.store.View(ctx, func(r kv.Reader) error {
		heads, err := w.messages.Heads(r, groups)
		if err != nil {
			return err
		}
		records, err := w.groups.GetMany(r, groups)
		if err != nil {
			return err
		}
		for i, name := range groups {
			now[name] = state{
				sequence: heads[i].GetLastSequence(),
				recalls:  heads[i].GetRecallCount(),
				members:  records[i].GetMemberVersion(),
				deleted:  records[i] == nil || records[i].GetDeleteTime() != nil,
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var changed []string
	for name, s := range now {
		if old, known := w.seen[name]; !known || old != s {
			changed = append(changed, name)
		}
	}
	w.seen = now
	return changed, nil
}
