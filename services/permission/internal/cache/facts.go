package cache

import (
	"context"
	"errors"
	"hash/maphash"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/fresh"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

// entry is a subject, a role or the properties of a name, as it was at a
// revision. It never changes.
type entry struct {
	at         revision.Revision
	generation uint64
	subject    *decide.Subject
	role       role.Set
	properties *structpb.Struct
	weight     uint32
}

// perEntry is about what an entry takes beside its content.
const perEntry = 160

func subjectEntry(at revision.Revision, s *decide.Subject) *entry {
	return &entry{at: at, subject: s, weight: uint32(min(perEntry+s.Size(), 1<<31))}
}

func roleEntry(name string, at revision.Revision, set role.Set) *entry {
	return &entry{at: at, role: set, weight: uint32(perEntry + len(name) + set.Size())}
}

// inMemory is about how many times their encoded size properties take.
const inMemory = 8

func propertiesEntry(name string, at revision.Revision, p *structpb.Struct) *entry {
	return &entry{at: at, properties: p, weight: uint32(perEntry + len(name) + inMemory*proto.Size(p))}
}

// facts are decide.Facts from memory, at one state.
type facts struct {
	ctx     context.Context
	cache   *Cache
	journal *journal
	state   *state
	// ahead is set when an entry of a later state was met: its number.
	ahead int64
	// hits counts what memory had; adding it up once spares the checks of
	// other processors a shared word.
	hits int64
}

func (f *facts) count() { f.cache.stats.Memory.Add(f.hits) }

// errMoved ends a run of View's function that has to be repeated.
var errMoved = errors.New("cache: the organisation's grants have changed meanwhile")

// Subject implements decide.Facts.
func (f *facts) Subject(name string) (*decide.Subject, error) {
	e, err := f.entry(name, (*Cache).loadSubject)
	if err != nil {
		return nil, err
	}
	return e.subject, nil
}

// Role implements decide.Facts.
func (f *facts) Role(name string) (role.Set, error) {
	if set, ok := f.cache.cfg.Loader.Roles.BuiltIn(name); ok {
		return set, nil
	}
	e, err := f.entry(name, (*Cache).loadRole)
	if err != nil {
		return role.Set{}, err
	}
	return e.role, nil
}

// Properties implements decide.Facts.
func (f *facts) Properties(name string) (*structpb.Struct, error) {
	e, err := f.entry(property.Entry(name), (*Cache).loadProperties)
	if err != nil {
		return nil, err
	}
	return e.properties, nil
}

// Context implements decide.Facts.
func (f *facts) Context() context.Context { return f.ctx }

// State implements decide.Stated.
func (f *facts) State() *decide.State { return f.state.known }

// entry returns an entry that is good at the state of f.
func (f *facts) entry(name string, load loadFunc) (*entry, error) {
	e, ok := f.cache.memory.GetIfPresent(name)
	if ok && e.generation == f.state.generation {
		f.hits++
	} else {
		var err error
		if e, err = f.cache.fill(f.ctx, f.journal, name, load); err != nil {
			return nil, err
		}
	}
	if !f.state.includes(e) {
		f.ahead = max(e.at.Number, 1)
		return nil, errMoved
	}
	return e, nil
}

// includes reports whether an entry is of this state or an earlier one, and
// so, still being there, good at it.
func (s *state) includes(e *entry) bool {
	return e.generation == s.generation && e.at.Number <= s.revision.Number
}

// loadFunc reads an entry from the store.
type loadFunc func(c *Cache, r kv.Reader, at revision.Revision, name string) (*entry, error)

func (c *Cache) loadSubject(r kv.Reader, at revision.Revision, name string) (*entry, error) {
	s, err := c.cfg.Loader.Subject(r, name)
	if err != nil {
		return nil, err
	}
	return subjectEntry(at, s), nil
}

func (c *Cache) loadRole(r kv.Reader, at revision.Revision, name string) (*entry, error) {
	set, err := c.cfg.Loader.Roles.Set(r, name)
	if err != nil {
		return nil, err
	}
	return roleEntry(name, at, set), nil
}

func (c *Cache) loadProperties(r kv.Reader, at revision.Revision, name string) (*entry, error) {
	properties, err := c.cfg.Loader.Properties.Of(r, property.NameOf(name))
	if err != nil {
		return nil, err
	}
	return propertiesEntry(name, at, properties), nil
}

// fill finds an entry that memory lacks, in Redis or in the store, and keeps
// it. Of several callers with one name, one does.
func (c *Cache) fill(ctx context.Context, j *journal, name string, load loadFunc) (*entry, error) {
	leave, err := c.filling.enter(ctx, name)
	if err != nil {
		return nil, err
	}
	defer leave()
	if e, ok := c.memory.GetIfPresent(name); ok && e.generation == j.state.Load().generation {
		c.stats.Memory.Add(1)
		return e, nil
	}
	if e := c.fromRedis(ctx, j, name); e != nil {
		return e, nil
	}
	var e *entry
	for range attempts {
		if e, err = c.fromStore(ctx, j, name, load); err != nil {
			return nil, err
		}
		if kept, ok := c.admit(j, name, e); ok {
			c.stats.Store.Add(1)
			if c.second != nil && e.subject != nil {
				c.second.put(name, e)
			}
			return kept, nil
		}
		// A change was applied between the read and now.
		c.stats.Refused.Add(1)
	}
	return e, nil // of no generation, so that no state takes it
}

func (c *Cache) fromStore(ctx context.Context, j *journal, name string, load loadFunc) (e *entry, err error) {
	err = c.cfg.Store.View(ctx, func(r kv.Reader) error {
		at, err := revision.Head(r, j.organization)
		if err != nil {
			return err
		}
		e, err = load(c, r, at, name)
		return err
	})
	return e, err
}

// fromRedis returns the entry that Redis has, if the journal says that it is
// as good as new, and else nil.
func (c *Cache) fromRedis(ctx context.Context, j *journal, name string) *entry {
	if c.second == nil {
		return nil
	}
	e := c.second.get(ctx, name)
	if e == nil {
		return nil
	}
	if c.verdictOn(j, name, e) == ahead && c.catchUp(ctx, j, e.at.Number) != nil {
		return nil
	}
	// Still ahead, when the journal is at the store's newest, is an entry of a
	// history that is no more.
	if c.verdictOn(j, name, e) != good {
		c.stats.RedisStale.Add(1)
		return nil
	}
	kept, ok := c.admit(j, name, e)
	if !ok {
		c.stats.RedisStale.Add(1)
		return nil
	}
	c.stats.Redis.Add(1)
	return kept
}

func (c *Cache) verdictOn(j *journal, name string, e *entry) verdict {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.judge(name, e.at)
}

// admit keeps an entry in memory unless it was changed since it was read. The
// journal's lock makes that one step: a change is either applied before, and
// refuses the entry, or after, and drops it.
func (c *Cache) admit(j *journal, name string, e *entry) (*entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.judge(name, e.at) == stale {
		return nil, false
	}
	kept := *e
	kept.generation = j.state.Load().generation
	c.memory.Set(name, &kept)
	return &kept, true
}

// stripes let one caller at a time fill a name, and callers of a few other
// names wait for nothing but bad luck. Unlike a mutex they can be given up on.
type stripes struct {
	seed  maphash.Seed
	locks []chan struct{}
}

func newStripes() stripes {
	s := stripes{seed: maphash.MakeSeed(), locks: make([]chan struct{}, 256)}
	for i := range s.locks {
		s.locks[i] = make(chan struct{}, 1)
	}
	return s
}

func (s stripes) enter(ctx context.Context, name string) (leave func(), err error) {
	lock := s.locks[maphash.String(s.seed, name)%uint64(len(s.locks))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, fresh.Ended(ctx)
	}
}
