package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"

	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	acme  = "organizations/acme"
	sue   = acme + "/staff/sue"
	tom   = acme + "/staff/tom"
	sales = acme + "/teams/sales"
)

var at = time.Unix(1_800_000_000, 0)

// suite is a store, its centres, and caches of it.
type suite struct {
	t      testing.TB
	loader *decide.Loader
	rules  *decide.Rules
	store  kv.Store
	ring   *seal.Ring
	// patience is the time Redis has to answer.
	patience time.Duration
}

func newSuite(t testing.TB, engine string) *suite {
	t.Helper()
	roles, subjects, properties := role.New(role.NewCatalogue(authz.Catalogue())), subject.New(), property.New()
	conditions, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	grants := grant.New(roles, subjects, conditions)
	qualifications := qualification.New(roles, grants, subjects)
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	tables := append(kv.RawTables(roles, subjects, properties, grants, qualifications), revision.Tables()...)
	return &suite{
		t: t, rules: decide.New(roles, conditions),
		loader: &decide.Loader{Grants: grants, Subjects: subjects, Roles: roles, Properties: properties, Qualifications: qualifications},
		store:  testkit.Store(t, engine, "permission", tables), ring: ring,
		patience: 10 * time.Second,
	}
}

// cache returns a cache of the store, or of another view of it.
func (s *suite) cache(store kv.Store, client redis.UniversalClient) *Cache {
	s.t.Helper()
	return s.running(s.reader(store, client))
}

// running has the cache write to Redis until the test ends.
func (s *suite) running(c *Cache) *Cache {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	s.t.Cleanup(func() { cancel(); running.Wait() })
	return c
}

// reader returns a cache that writes nothing to Redis.
func (s *suite) reader(store kv.Store, client redis.UniversalClient) *Cache {
	s.t.Helper()
	return s.sized(store, client, 64<<20)
}

// sized is reader with so many bytes of memory.
func (s *suite) sized(store kv.Store, client redis.UniversalClient, bytes uint64) *Cache {
	s.t.Helper()
	c, err := New(Config{Store: store, Loader: s.loader, MemoryBytes: bytes, Redis: client, Ring: s.ring, RedisTTL: time.Hour})
	if err != nil {
		s.t.Fatal(err)
	}
	if c.second != nil {
		c.second.timeout = s.patience
	}
	s.t.Cleanup(c.Close)
	return c
}

// grant gives sue, or another, a role through a store and returns the name of
// the grant.
func (s *suite) grant(store kv.Store, who, what, on string) string {
	s.t.Helper()
	name := acme + "/grants/" + resource.NewID()
	s.change(store, func(tx kv.Tx) error {
		_, _, err := s.loader.Grants.Create(tx, at, &permissionv1.Grant{Name: name, Subject: who, Role: what, Resource: on})
		return err
	})
	return name
}

func (s *suite) revoke(store kv.Store, name string) {
	s.t.Helper()
	s.change(store, func(tx kv.Tx) error {
		_, _, err := s.loader.Grants.Delete(tx, at, name, "")
		return err
	})
}

func (s *suite) change(store kv.Store, fn func(tx kv.Tx) error) {
	s.t.Helper()
	if err := store.Update(context.Background(), fn); err != nil {
		s.t.Error(err)
	}
}

// may asks a cache whether an account may see the organisation's teams.
func (s *suite) may(c *Cache, account string) bool {
	s.t.Helper()
	allowed, err := s.ask(context.Background(), c, account)
	if err != nil {
		s.t.Error(err)
	}
	return allowed
}

func (s *suite) ask(ctx context.Context, c *Cache, account string) (bool, error) {
	var a decide.Answer
	_, err := c.View(ctx, acme, func(facts decide.Facts) (err error) {
		a, err = s.rules.Answer(facts, acme, decide.Question{Subject: account, Permission: "identity.teams.list", Resource: acme}, at)
		return err
	})
	return a.Allowed, err
}

func (s *suite) wantMay(c *Cache, want bool, account string) {
	s.t.Helper()
	if got := s.may(c, account); got != want {
		s.t.Errorf("may %s: %t, want %t", account, got, want)
	}
}

// shared is a store that other processes may have open: what a test writes
// through it, caches are not told.
type shared struct {
	kv.Store
	// read is called after the closure of a View has run, before its result
	// is used; it may be nil.
	read func()
	// fail makes Update report an error for what it has done.
	fail bool
	// alone makes kv.Exclusive believe that it is not shared.
	alone bool
}

var errLost = errors.New("the answer was lost")

func (s *shared) Exclusive() bool { return s.alone }

func (s *shared) View(ctx context.Context, fn func(kv.Reader) error) error {
	return s.Store.View(ctx, func(r kv.Reader) error {
		err := fn(r)
		if s.read != nil {
			s.read()
		}
		return err
	})
}

func (s *shared) Update(ctx context.Context, fn func(kv.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	if err == nil && s.fail {
		return errLost
	}
	return err
}
