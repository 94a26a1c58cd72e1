// Package mirror applies identity's feed: who may act, who is in which team
// and segment, which team is below which, and the grants that a new organisation begins with.
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
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/subject"
)

// Types of the events that are applied.
const (
	organizationCreated = "guildhall.identity.organization.created.v1"
	stateChanged        = "guildhall.identity.account.state_changed.v1"
	memberCreated       = "guildhall.identity.team_member.created.v1"
	memberDeleted       = "guildhall.identity.team_member.deleted.v1"
	teamCreated         = "guildhall.identity.team.created.v1"
	teamUpdated         = "guildhall.identity.team.updated.v1"
	teamDeleted         = "guildhall.identity.team.deleted.v1"
	segmentJoined       = "guildhall.identity.segment_member.created.v1"
	segmentLeft         = "guildhall.identity.segment_member.deleted.v1"
	segmentDeleted      = "guildhall.identity.segment.deleted.v1"
	accountPurged       = "guildhall.identity.account.purged.v1"
)

// TypePrefixes select the events that are applied.
func TypePrefixes() []string {
	return []string{
		organizationCreated, stateChanged, memberCreated, memberDeleted, teamCreated, teamUpdated, teamDeleted,
		segmentJoined, segmentLeft, segmentDeleted, accountPurged,
	}
}

// Config says what a Mirror needs, all of it.
type Config struct {
	Store    kv.Store
	Grants   *grant.Grants
	Subjects *subject.Subjects
	// Properties are deleted with the account or team that they are of.
	Properties *property.Properties
	Journal    *change.Journal
	// Identity is what Resync reads.
	Identity Directory
	Logger   *slog.Logger
	Clock    func() time.Time
	// Forget is told of each account and team that is gone for good; it may be
	// empty.
	Forget []Forget
}

// Forget ends what else is kept of an account or a team that is gone for good,
// so that whoever has the name later begins with nothing.
type Forget func(tx *change.Tx, name string) error

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
	case segmentJoined, segmentLeft:
		return m.segmentMember(tx, at, e)
	case teamCreated, teamUpdated:
		return m.team(tx, at, e)
	case teamDeleted, segmentDeleted, accountPurged:
		if !ends(e.GetType(), e.GetSubject()) {
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

// ends reports whether an event of the type can be the end of what has the
// name.
func ends(eventType, name string) bool {
	switch eventType {
	case teamDeleted:
		return subject.IsTeam(name)
	case segmentDeleted:
		return subject.IsSegment(name)
	default:
		return subject.IsAccount(name)
	}
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

// segmentMember takes over who is in a segment. While a former segment of the
// name is being emptied, the feed waits: whoever comes now would be taken for
// one of the old.
func (m *Mirror) segmentMember(tx kv.Tx, at time.Time, e *eventv1.Event) error {
	var data identityv1.SegmentMemberChanged
	if err := read(e, &data); err != nil {
		return err
	}
	if !subject.IsSegment(data.GetSegment()) || !subject.IsAccount(data.GetAccount()) ||
		subject.OrganizationOf(data.GetSegment()) != subject.OrganizationOf(data.GetAccount()) {
		return invalid(e)
	}
	if e.GetType() == segmentLeft {
		return m.cfg.Subjects.RemoveMember(tx, at, data.GetSegment(), data.GetAccount())
	}
	return m.addMember(tx, at, data.GetSegment(), data.GetAccount())
}

// addMember takes over that an account is in a team or a segment. The error is
// Unavailable (SUBJECT_ENDING) while a former segment of the name is being
// emptied.
func (m *Mirror) addMember(tx kv.Tx, at time.Time, name, account string) error {
	if subject.IsSegment(name) {
		ending, err := m.cfg.Grants.Ending(tx, name)
		if err == nil && ending {
			err = errs.New(errs.Unavailable, "SUBJECT_ENDING", "a former segment of this name is being emptied")
		}
		if err != nil {
			return err
		}
	}
	return m.cfg.Subjects.AddMember(tx, at, name, account)
}

// team takes over which team a team is below. An identity from before there were
// teams below teams says nothing of it.
func (m *Mirror) team(tx kv.Tx, at time.Time, e *eventv1.Event) error {
	if e.GetData() == nil {
		return nil
	}
	var data identityv1.TeamChanged
	if err := read(e, &data); err != nil {
		return err
	}
	team, parent := e.GetSubject(), data.GetParent()
	if !subject.IsTeam(team) || parent != "" && (!subject.IsTeam(parent) || subject.OrganizationOf(team) != subject.OrganizationOf(parent)) {
		return invalid(e)
	}
	return m.cfg.Subjects.SetParent(tx, at, team, parent)
}

// seed makes the first grants of an organisation.
func (m *Mirror) seed(tx *change.Tx, at time.Time, organization, administrator string, operator bool) error {
	made, err := m.cfg.Grants.Seed(tx, at, organization, administrator, "services/permission", operator)
	if err != nil {
		return err
	}
	for _, e := range made {
		e.Record(tx)
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
	return errs.New(errs.Invalid, "EVENT_INVALID", "an event names what is no account, team or segment",
		errs.Cause(fmt.Errorf("event %s of type %s", e.GetId(), e.GetType())))
}
