// Package mirror applies identity's feed: who may act, who is in which team,
// and the grants that a new organisation begins with.
//
// Each event takes effect in the transaction that moves the feed's cursor. An
// event that cannot be applied stops the feed, because a missed suspension is
// a wrong yes. The package does not follow the feed; feed.Consumer does. When
// the feed cannot be followed on, Resync reads identity's lists instead.
package mirror

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

// Types of the events that are applied.
const (
	organizationCreated = "guildhall.identity.organization.created.v1"
	stateChanged        = "guildhall.identity.account.state_changed.v1"
	memberCreated       = "guildhall.identity.team_member.created.v1"
	memberDeleted       = "guildhall.identity.team_member.deleted.v1"
	teamDeleted         = "guildhall.identity.team.deleted.v1"
	accountPurged       = "guildhall.identity.account.purged.v1"
)

// TypePrefixes select the events that are applied.
func TypePrefixes() []string {
	return []string{organizationCreated, stateChanged, memberCreated, memberDeleted, teamDeleted, accountPurged}
}

// Config says what a Mirror needs, all of it.
type Config struct {
	Store    kv.Store
	Grants   *grant.Grants
	Subjects *subject.Subjects
	Journal  *change.Journal
	// Identity is what Resync reads.
	Identity Directory
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Mirror applies events. It is safe for concurrent use.
type Mirror struct {
	cfg    Config
	claims *kv.Table[*storev1.Resync]
}

// New returns a mirror. It does no I/O.
func New(cfg Config) *Mirror {
	return &Mirror{cfg: cfg, claims: claims()}
}

// Tables returns the raw tables of this package, for kv.Options.
func Tables() []string { return claims().Tables() }

// Apply gives one event its effect in the transaction. Types it does not know
// have none. Its error for an event that makes no sense is Invalid
// (EVENT_INVALID).
func (m *Mirror) Apply(tx kv.Tx, e *eventv1.Event) error {
	if err := m.interrupt(tx); err != nil {
		return err
	}
	at := e.GetTime().AsTime()
	switch e.GetType() {
	case organizationCreated:
		var data identityv1.OrganizationCreated
		if err := read(e, &data); err != nil {
			return err
		}
		return m.within(tx, at, e, "permission.grants.seed", func(tx *change.Tx) error {
			return m.seed(tx, at, e.GetSubject(), data.GetAdministrator(), data.GetOperator())
		})
	case stateChanged:
		var data identityv1.AccountStateChanged
		if err := read(e, &data); err != nil {
			return err
		}
		if !subject.IsAccount(e.GetSubject()) || data.GetState() == "" {
			return invalid(e)
		}
		return m.cfg.Subjects.Follow(tx, at, subject.Word{
			Account: e.GetSubject(), State: data.GetState(), Version: versionOf(&data, at),
		})
	case memberCreated, memberDeleted:
		return m.member(tx, at, e)
	case teamDeleted:
		if !subject.IsTeam(e.GetSubject()) {
			return invalid(e)
		}
		return m.within(tx, at, e, endAction, func(tx *change.Tx) error { return m.end(tx, at, e.GetSubject()) })
	case accountPurged:
		if !subject.IsAccount(e.GetSubject()) {
			return invalid(e)
		}
		return m.within(tx, at, e, endAction, func(tx *change.Tx) error { return m.end(tx, at, e.GetSubject()) })
	}
	return nil
}

// versionOf returns the version of a word. One from before identity numbered
// them counts as of its time, which is what identity begins to number at.
func versionOf(data *identityv1.AccountStateChanged, at time.Time) int64 {
	if v := data.GetVersion(); v > 0 {
		return v
	}
	return at.UnixMicro()
}

func (m *Mirror) member(tx kv.Tx, at time.Time, e *eventv1.Event) error {
	var data identityv1.TeamMemberChanged
	if err := read(e, &data); err != nil {
		return err
	}
	if !subject.IsTeam(data.GetTeam()) || !subject.IsAccount(data.GetAccount()) ||
		subject.OrganizationOf(data.GetTeam()) != subject.OrganizationOf(data.GetAccount()) {
		return invalid(e)
	}
	if e.GetType() == memberCreated {
		return m.cfg.Subjects.AddMember(tx, at, data.GetTeam(), data.GetAccount())
	}
	return m.cfg.Subjects.RemoveMember(tx, at, data.GetTeam(), data.GetAccount())
}

// seed makes the first grants of an organisation.
func (m *Mirror) seed(tx *change.Tx, at time.Time, organization, administrator string, operator bool) error {
	made, err := m.cfg.Grants.Seed(tx, at, organization, administrator, "services/permission", operator)
	if err != nil {
		return err
	}
	for _, c := range made {
		tx.Record(change.Change{
			Resource: c.Grant.GetName(), Type: "guildhall.permission.grant.created.v1",
			Data: grant.Event(c.Grant, c.Revision), ChangedFields: change.ChangedFields(nil, c.Grant),
		})
	}
	return nil
}

// within runs fn with its trace of audit and events, in the trace of the event.
func (m *Mirror) within(tx kv.Tx, at time.Time, e *eventv1.Event, action string, fn func(tx *change.Tx) error) error {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": e.GetTraceparent()})
	return change.Within(ctx, m.cfg.Journal, tx, action, at, func(tx *change.Tx) error {
		tx.Unchanged() // holds unless fn records something
		return fn(tx)
	})
}

func read(e *eventv1.Event, into proto.Message) error {
	if err := e.GetData().UnmarshalTo(into); err != nil {
		return errs.New(errs.Invalid, "EVENT_INVALID", "an event holds what its type does not", errs.Cause(fmt.Errorf("event %s: %w", e.GetId(), err)))
	}
	return nil
}

func invalid(e *eventv1.Event) error {
	return errs.New(errs.Invalid, "EVENT_INVALID", "an event names what is no account or team",
		errs.Cause(fmt.Errorf("event %s of type %s", e.GetId(), e.GetType())))
}
