package seal

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Rotate makes a new sealing key the primary, in memory and in the file. The
// old keys stay, for what is sealed under them: see Reseal. Other processes
// with the same file learn of the key when they first meet a value sealed
// under it.
//
// Where replicas have copies of the file, call Stage on one, bring its file to
// all, and only then Rotate: otherwise the others meet values that they cannot
// open until the file reaches them.
func (r *Ring) Rotate() error { return r.replace((*keys).promoted) }

// Stage adds a sealing key to the file that opens values and does not seal any
// before the next Rotate, which takes it in place of a new one. With a staged
// key there it does nothing.
func (r *Ring) Stage() error { return r.replace((*keys).staged) }

// replace changes the ring's keys, and the file if there is one.
func (r *Ring) replace(change func(*keys) (*keys, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path == "" {
		k, err := change(r.keys.Load())
		if err == nil {
			r.keys.Store(k)
		}
		return err
	}
	next := func() (*keys, error) {
		// Another process may have changed the file since this ring read it.
		k, err := load(r.path, r.kek)
		if err != nil {
			return nil, err
		}
		return change(k)
	}
	return rewrite(r.path, next, r.kek, func() error {
		k, err := load(r.path, r.kek)
		if err == nil {
			r.keys.Store(k)
		}
		return err
	})
}

// newest returns the id of the key that was added last. It is the primary,
// unless a key is staged.
func (k *keys) newest() uint32 {
	info := k.seals.KeysetInfo().GetKeyInfo()
	return info[len(info)-1].GetKeyId()
}

func (k *keys) staged() (*keys, error) {
	if k.newest() != k.primary {
		return k, nil
	}
	m := keyset.NewManagerFromHandle(k.seals)
	if _, err := m.Add(sealTemplate()); err != nil {
		return nil, fmt.Errorf("make a sealing key: %w", err)
	}
	return k.with(m)
}

func (k *keys) promoted() (*keys, error) {
	k, err := k.staged()
	if err != nil {
		return nil, err
	}
	m := keyset.NewManagerFromHandle(k.seals)
	if err := m.SetPrimary(k.newest()); err != nil {
		return nil, fmt.Errorf("make a sealing key primary: %w", err)
	}
	return k.with(m)
}

// with returns k with the sealing keys of m.
func (k *keys) with(m *keyset.Manager) (*keys, error) {
	seals, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("change the sealing keys: %w", err)
	}
	return newKeys(k.created, seals, k.hashes)
}
