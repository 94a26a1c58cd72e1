// Package chronicle writes the timelines of customers: it reads in the events of all
// services what happened to whom, and has package timeline keep it.
//
// Identity's own events come with the change that they tell of, in its transaction
// (change.Config.Observe): there is nothing to follow, and nothing to miss. Those of
// the other services come from their feeds, each with the feed's cursor in one
// transaction, so that each has its effect once.
//
//	                       ┌── no customer's, or of one who is gone ──▶ nothing
//	event ──▶ Scribe.Apply ┤
//	                       └── kept under the event's own id; told twice, it is one
//
// A customer who was erased or purged gets no entry of what comes late: its account is
// looked up in the transaction of the entry. A service that is away holds up nobody
// but its own; one whose feed has been trimmed meanwhile goes on at the oldest event
// it has, and the coverage says so. An event that makes no sense is parked (pkg/feed)
// and not waited for: a timeline decides nothing.
package chronicle

import (
	"fmt"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/shift"
	"guildhall.dev/services/identity/internal/timeline"
)

// Self is the source of identity's own events.
const Self = "identity"

// Outcome is what became of an event.
type Outcome string

// The outcomes of Apply.
const (
	// Kept: it is in a timeline.
	Kept Outcome = "kept"
	// Ignored: it is about no customer, or nothing for a timeline.
	Ignored Outcome = "ignored"
	// Late: its customer is gone for good.
	Late Outcome = "late"
)

// Scribe turns events into entries of timelines. It is safe for concurrent use.
type Scribe struct {
	accounts *account.Book
	timeline *timeline.Book
	rules    map[string]rule
}

// NewScribe returns a scribe who writes about these accounts.
func NewScribe(accounts *account.Book, t *timeline.Book) *Scribe {
	return &Scribe{accounts: accounts, timeline: t, rules: rules()}
}

// Observe is Apply for identity's own events.
func (s *Scribe) Observe(tx kv.Tx, e *eventv1.Event) error {
	_, err := s.Apply(tx, e)
	return err
}

// Apply keeps what an event tells of a customer, in the transaction. The error for an
// event that makes no sense is Invalid (EVENT_INVALID).
func (s *Scribe) Apply(tx kv.Tx, e *eventv1.Event) (Outcome, error) {
	source, noun, verb := parse(e.GetType())
	rule, ok := s.rules[source+"."+noun]
	if !ok {
		return Ignored, nil
	}
	entry := &identityv1.TimelineEvent{
		Kind: rule.kind, Source: source, Type: e.GetType(), EventTime: e.GetTime(), RecordTime: e.GetTime(), Resource: e.GetSubject(),
	}
	customer, err := rule.read(e, verb, entry)
	if err != nil || !account.CustomerPattern.Matches(customer) {
		return Ignored, err
	}
	if resource.Parent(customer) != e.GetOrganization() {
		return Ignored, invalid(e, fmt.Errorf("it is of another organization than its customer %s", customer))
	}
	is, err := s.present(tx, customer)
	if err != nil {
		return Ignored, err
	}
	if is == "" {
		return Late, nil
	}
	entry.Resource = shift.Below(entry.GetResource(), customer, is)
	entry.Name = is + "/timelineEvents/" + source + "-" + e.GetId()
	return Kept, s.timeline.Add(tx, entry)
}

// present returns who is who a customer was when something happened: the one that it has
// been merged into, or itself; "" of one who is gone for good.
func (s *Scribe) present(r kv.Reader, customer string) (string, error) {
	for {
		rec, found, err := s.accounts.Find(r, customer)
		if err != nil || !found || rec.Value.GetState() == identityv1.AccountState_ACCOUNT_STATE_ERASED {
			return "", err
		}
		into := rec.Value.GetMergedInto()
		if into == "" {
			return customer, nil
		}
		customer = into
	}
}

// Prefixes select the types of events of a source that are read.
func (s *Scribe) Prefixes(source string) []string {
	var out []string
	for noun := range s.rules {
		if strings.HasPrefix(noun, source+".") {
			out = append(out, "guildhall."+noun+".")
		}
	}
	slices.Sort(out)
	return out
}

// parse returns the parts of a type of events: "guildhall.feedback.complaint.created.v1"
// is feedback, complaint, created.
func parse(eventType string) (source, noun, verb string) {
	parts := strings.Split(eventType, ".")
	if len(parts) != 5 || parts[0] != "guildhall" {
		return "", "", ""
	}
	return parts[1], parts[2], parts[3]
}

func invalid(e *eventv1.Event, cause error) error {
	return errs.New(errs.Invalid, "EVENT_INVALID", "an event holds what its type does not",
		errs.Cause(fmt.Errorf("event %s of type %s: %w", e.GetId(), e.GetType(), cause)))
}
