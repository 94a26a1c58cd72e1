package cache

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/seal"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	// redisTimeout bounds one command: the store answers in milliseconds too.
	redisTimeout = 100 * time.Millisecond
	// redisPause is how long Redis is left alone after a failure, so that a
	// dead one costs one time-out a pause and not one a check.
	redisPause = time.Second
	// maxEntry keeps subjects with very many grants out of Redis, which copies
	// each value whole.
	maxEntry = 4 << 20
	// backlog and redisBatch bound what waits to be written and what is
	// written at once. What finds no room is left out.
	backlog    = 1024
	redisBatch = 64
)

// second is the level in Redis. Keys are keyed hashes of names, and values
// sealed, so that Redis shows neither who there is nor what they may do.
type second struct {
	client redis.UniversalClient
	ring   *seal.Ring
	aead   cipher.AEAD
	ttl    time.Duration
	stats  *Stats
	logger *slog.Logger
	// timeout bounds one command; tests that count on Redis are patient.
	timeout time.Duration

	pending chan pending
	paused  atomic.Int64 // until when Redis is left alone, Unix nanoseconds
	away    atomic.Bool  // for the log: the last command failed
}

type pending struct {
	name  string
	entry *entry
}

func newSecond(cfg Config, stats *Stats) (*second, error) {
	if cfg.Ring == nil || cfg.RedisTTL <= 0 {
		return nil, errors.New("cache: Redis needs a ring and a time to live")
	}
	// The version of the key changes with the form of the entries: a version
	// of this service that knows no field policies must not open them, nor
	// write what later ones would.
	// Nonces are random and the key never changes, so they have to be long.
	aead, err := chacha20poly1305.NewX(cfg.Ring.Derive("permission.redis.subject.v5"))
	if err != nil {
		return nil, fmt.Errorf("cache: the key for Redis: %w", err)
	}
	return &second{
		client: cfg.Redis, ring: cfg.Ring, aead: aead, ttl: cfg.RedisTTL, stats: stats, logger: cfg.Logger,
		timeout: redisTimeout, pending: make(chan pending, backlog),
	}, nil
}

func (s *second) key(name string) string {
	digest := s.ring.Hash("permission.redis.subject", []byte(name))
	return "guildhall:permission:subject:" + base64.RawURLEncoding.EncodeToString(digest)
}

// get returns what Redis has for the name, or nil. Whether it is still true is
// for the journal to say.
func (s *second) get(ctx context.Context, name string) *entry {
	if s.resting() {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	sealed, err := s.client.Get(bounded, s.key(name)).Bytes()
	if errors.Is(err, redis.Nil) {
		s.succeeded(ctx)
		return nil
	}
	if err != nil {
		if ctx.Err() == nil {
			s.failed(ctx, err)
		}
		return nil
	}
	s.succeeded(ctx)
	e, err := s.open(name, sealed)
	if err != nil {
		s.stats.RedisStale.Add(1)
		return nil
	}
	return e
}

// put queues an entry to be written.
func (s *second) put(name string, e *entry) {
	if s.resting() {
		return
	}
	select {
	case s.pending <- pending{name, e}:
	default:
	}
}

// run writes what is queued until ctx ends.
func (s *second) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.pending:
			s.write(ctx, s.collect(p))
		}
	}
}

// collect takes what else is queued, up to a batch.
func (s *second) collect(first pending) []pending {
	batch := []pending{first}
	for len(batch) < redisBatch {
		select {
		case p := <-s.pending:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

func (s *second) write(ctx context.Context, batch []pending) {
	if s.resting() {
		return
	}
	pipe := s.client.Pipeline()
	for _, p := range batch {
		if sealed, err := s.seal(p.name, p.entry); err == nil && len(sealed) <= maxEntry {
			pipe.Set(ctx, s.key(p.name), sealed, s.ttl)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := pipe.Exec(bounded); err != nil {
		if ctx.Err() == nil {
			s.failed(ctx, err)
		}
		return
	}
	s.succeeded(ctx)
}

// seal encodes an entry for the name; nothing opens it under another.
func (s *second) seal(name string, e *entry) ([]byte, error) {
	facts := e.subject.Facts()
	m := &storev1.CompiledSubject{
		Revision: e.at.Proto(), Denied: facts.Denied, Teams: facts.Teams, Segments: facts.Segments,
		Parent: facts.Parent, Ended: facts.Ended, Separation: e.subject.Separation(), FieldPolicies: e.subject.FieldPolicies(), EndedThrough: facts.EndedThrough,
	}
	for _, h := range e.subject.Holds() {
		m.Holds = append(m.Holds, &storev1.Hold{
			Resource: h.Resource, Role: h.Role, Grant: h.Grant, ExpireSeconds: h.Expires,
			Deny: h.Deny, Condition: h.Condition, Holders: h.Holders,
		})
	}
	clear, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a subject: %w", err)
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(clear)+s.aead.Overhead())
	rand.Read(nonce) // never fails: crypto/rand ends the process instead
	return s.aead.Seal(nonce, nonce, clear, []byte(name)), nil
}

// open undoes seal.
func (s *second) open(name string, sealed []byte) (*entry, error) {
	if len(sealed) < s.aead.NonceSize() {
		return nil, errors.New("too short")
	}
	nonce, text := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	clear, err := s.aead.Open(nil, nonce, text, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open an entry of Redis: %w", err)
	}
	var m storev1.CompiledSubject
	if err := proto.Unmarshal(clear, &m); err != nil {
		return nil, fmt.Errorf("decode a subject: %w", err)
	}
	holds := make([]decide.Hold, 0, len(m.GetHolds()))
	for _, h := range m.GetHolds() {
		holds = append(holds, decide.Hold{
			Resource: h.GetResource(), Role: h.GetRole(), Grant: h.GetGrant(), Expires: h.GetExpireSeconds(),
			Deny: h.GetDeny(), Condition: h.GetCondition(), Holders: h.GetHolders(),
		})
	}
	facts := subject.Facts{
		Denied: m.GetDenied(), Teams: m.GetTeams(), Segments: m.GetSegments(), Parent: m.GetParent(), Ended: m.GetEnded(),
		EndedThrough: m.GetEndedThrough(),
	}
	compiled := decide.Compile(name, facts, holds)
	compiled.Separate(m.GetSeparation())
	compiled.Restrict(m.GetFieldPolicies())
	return subjectEntry(revision.FromProto(m.GetRevision()), compiled), nil
}

func (s *second) resting() bool { return time.Now().UnixNano() < s.paused.Load() }

func (s *second) failed(ctx context.Context, err error) {
	s.stats.RedisFailures.Add(1)
	s.paused.Store(time.Now().Add(redisPause).UnixNano())
	if !s.away.Swap(true) {
		s.logger.WarnContext(ctx, "Redis does not answer; subjects are read from the store", "error", err)
	}
}

func (s *second) succeeded(ctx context.Context) {
	if s.away.Load() && s.away.Swap(false) {
		s.logger.InfoContext(ctx, "Redis answers again")
	}
}
