// Package audit keeps who did what: an append-only log of acts, hash-chained
// per organisation, in the store of the service that did them.
//
// An entry is appended in the transaction of its act, so there is never one
// without the other. It names the fields that changed and never their values:
// the log outlives the erasure of a person, and nothing is ever removed from
// it here.
//
// Each entry holds the hash of the one before it, so that whoever edits the
// store behind the service's back has to rewrite all that follows. One chain
// for a tenant would make its mutations wait for each other; so each
// organisation has a few, chosen by the resource. Somebody who can rewrite a
// whole chain and its head is found only by comparing with a head that was
// kept elsewhere: VerifyAuditChain returns the heads for that.
package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/resource"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// DefaultChains is how many chains an organisation has.
const DefaultChains = 8

// maxChains bounds Config.Chains, and with it what Verify looks for.
const maxChains = 64

// Installation is the parent of the entries that belong to no organisation.
const Installation = "organizations/-"

// Config says what a Log needs. Store and Pages are required.
type Config struct {
	Store kv.Store
	// Pages seals the page tokens of List.
	Pages *page.Codec
	// Chains is the number of chains an organisation has, 1 to 64; zero is
	// DefaultChains. It may change between runs.
	Chains int
	// Logger is told of denials that could not be kept; nil is silent.
	Logger *slog.Logger
	// Meter counts denials that were not kept; nil counts none.
	Meter metric.Meter
	// Clock stamps denials; nil is time.Now.
	Clock func() time.Time
}

// Log is the audit log of one service. It is safe for concurrent use.
type Log struct {
	cfg     Config
	entries *kv.Table[*auditv1.AuditEntry]
	denials *denials
}

// New returns the log that is kept in the store.
func New(cfg Config) (*Log, error) {
	if cfg.Store == nil || cfg.Pages == nil {
		return nil, errors.New("audit: a log needs a store and a page codec")
	}
	if cfg.Chains == 0 {
		cfg.Chains = DefaultChains
	}
	if cfg.Chains < 0 || cfg.Chains > maxChains {
		return nil, fmt.Errorf("audit: %d chains; want 1 to %d", cfg.Chains, maxChains)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	d, err := newDenials(cfg.Meter)
	if err != nil {
		return nil, err
	}
	return &Log{cfg: cfg, entries: entries(), denials: d}, nil
}

// Tables returns the raw tables of a log, for kv.Options.
func Tables() []string { return append(entries().Tables(), tableHeads) }

// The indexes of the entries. Each is by organisation first, and the one of
// its name, and time last.
const (
	byTime     = "time"
	byActor    = "actor"
	byResource = "resource"
	byAction   = "action"
)

// entries is the table of (organisation, chain, sequence). Actors and
// resources are names made of ids, so they stand in keys in clear.
func entries() *kv.Table[*auditv1.AuditEntry] {
	index := func(name string, of func(*auditv1.AuditEntry) string) kv.Index[*auditv1.AuditEntry] {
		return kv.Index[*auditv1.AuditEntry]{Name: name, Keys: func(e *auditv1.AuditEntry) []kv.Key {
			if of(e) == "" {
				return nil
			}
			return []kv.Key{{kv.String(parentOf(e)), kv.String(of(e)), kv.Time(e.GetTime().AsTime())}}
		}}
	}
	return kv.NewTable(kv.TableConfig[*auditv1.AuditEntry]{
		Name: "audit_entries",
		Key: func(e *auditv1.AuditEntry) kv.Key {
			return entryKey(parentOf(e), e.GetChain(), e.GetSequence())
		},
		Indexes: []kv.Index[*auditv1.AuditEntry]{
			{Name: byTime, Keys: func(e *auditv1.AuditEntry) []kv.Key {
				return []kv.Key{{kv.String(parentOf(e)), kv.Time(e.GetTime().AsTime())}}
			}},
			index(byActor, (*auditv1.AuditEntry).GetActor),
			index(byResource, (*auditv1.AuditEntry).GetResource),
			index(byAction, (*auditv1.AuditEntry).GetAction),
		},
	})
}

func entryKey(parent string, chain uint32, sequence uint64) kv.Key {
	return kv.Key{kv.String(parent), kv.Uint64(uint64(chain)), kv.Uint64(sequence)}
}

// parentOf returns whose entry it is, from its name.
func parentOf(e *auditv1.AuditEntry) string {
	parent, _, _ := strings.Cut(e.GetName(), "/auditEntries/")
	return parent
}

// ParentOf returns the parent of the entries about a resource: its
// organisation, or Installation.
func ParentOf(name string) string {
	if org, ok := resource.Organization(name); ok {
		return organization.Format(org)
	}
	return Installation
}

const organization = resource.Pattern("organizations/{organization}")

func checkParent(parent string) error {
	if parent == Installation {
		return nil
	}
	_, err := organization.Parse("parent", parent)
	return err
}

// corrupt is the error for stored bytes that this package did not write so.
func corrupt(format string, args ...any) error {
	return errs.New(errs.Internal, "STORE_CORRUPT", errs.InternalMessage, errs.Cause(fmt.Errorf("audit: "+format, args...)))
}

// internal is a mistake in our code, found at run time.
func internal(format string, args ...any) error {
	return errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(fmt.Errorf("audit: "+format, args...)))
}
