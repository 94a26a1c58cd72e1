// Package complaint holds the rules of complaints, from receipt to close after
// ISO 10002:2018: who may move one where, and what must be said at each move.
//
//	RECEIVED --acknowledge--> ACKNOWLEDGED --investigate--> INVESTIGATING
//	INVESTIGATING --communicate--> COMMUNICATED --accept--> RESOLVED --close--> CLOSED
//	COMMUNICATED --dispute (once)--> INVESTIGATING
//	CLOSED --reopen--> INVESTIGATING
//	every state but CLOSED and WITHDRAWN --withdraw--> WITHDRAWN
//	the complainant is erased: RESOLVED --> CLOSED, every other open one --> WITHDRAWN,
//	and none moves again
//
// A complaint is never deleted and its words are never edited; every move is
// kept in its history with who made it. What the enterprise notes for itself
// (notes, severity, owner, cause) is not shown to the complainant: see
// ForComplainant. Only with the complainant the words go, and the case stays: what
// the law asks an enterprise to show of complaints it can still count.
//
// The package knows no gRPC: it works on the API's messages inside a change's
// transaction.
package complaint

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/feedback/store/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// Name is the form of a complaint's name.
const Name = resource.Pattern("organizations/{organization}/customers/{customer}/complaints/{complaint}")

// Customer is the form of the parent of complaints.
const Customer = resource.Pattern("organizations/{organization}/customers/{customer}")

const staff = resource.Pattern("organizations/{organization}/staff/{staff_member}")

// Create files a complaint of the customer parent, taken down by actor.
// Reasons: COMPLAINT_EXISTS, RESOURCE_NAME_INVALID.
func (c *Complaints) Create(tx *change.Tx, parent, id, actor string, in *feedbackv1.Complaint) (*feedbackv1.Complaint, error) {
	ids, err := Customer.Parse("parent", parent)
	if err != nil {
		return nil, err
	}
	id, err = tx.IDOr("complaint_id", id)
	if err != nil {
		return nil, err
	}
	if err := checkStaff("complaint.about", ids[0], in.GetAbout()); err != nil {
		return nil, err
	}
	reference, err := c.nextReference(tx, resource.Parent(parent))
	if err != nil {
		return nil, err
	}
	now := timestamppb.New(tx.Time)
	v := &feedbackv1.Complaint{
		Name:         parent + "/complaints/" + id,
		Reference:    reference,
		Subject:      in.GetSubject(),
		Verbatim:     in.GetVerbatim(),
		RemedySought: in.GetRemedySought(),
		About:        in.GetAbout(),
		Channel:      in.GetChannel(),
		State:        feedbackv1.Complaint_STATE_RECEIVED,
		History:      []*feedbackv1.ComplaintMove{{Time: now, Actor: actor, To: feedbackv1.Complaint_STATE_RECEIVED}},
		CreateTime:   now,
		UpdateTime:   now,
	}
	rec, err := c.complaints.Create(tx, v)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: v.Name,
		Type:     "guildhall.feedback.complaint.created.v1",
		Data:     &feedbackv1.ComplaintChanged{To: word(v.State), Reference: v.Reference},
	})
	return view(rec), nil
}

// nextReference returns the next number of the organisation, as people quote
// it. Two complaints filed at once conflict on the counter, and one is tried
// again: references are unique and without gaps.
func (c *Complaints) nextReference(tx kv.Tx, organization string) (string, error) {
	counter := &storev1.ReferenceCounter{Organization: organization}
	rec, found, err := c.counters.Find(tx, kv.Key{kv.String(organization)})
	if err != nil {
		return "", err
	}
	if found {
		counter = rec.Value
	}
	counter.Last++
	if _, err := c.counters.Put(tx, counter, ""); err != nil {
		return "", err
	}
	return fmt.Sprintf("C-%06d", counter.Last), nil
}

// Get returns a complaint. Reasons: COMPLAINT_NOT_FOUND.
func (c *Complaints) Get(r kv.Reader, name string) (*feedbackv1.Complaint, error) {
	rec, err := c.get(r, name)
	if err != nil {
		return nil, err
	}
	return view(rec), nil
}

func (c *Complaints) get(r kv.Reader, name string) (kv.Record[*feedbackv1.Complaint], error) {
	if _, err := Name.Parse("name", name); err != nil {
		return kv.Record[*feedbackv1.Complaint]{}, err
	}
	return c.complaints.Get(r, kv.Key{kv.String(name)})
}

// List returns a page of complaints, newest first, and where the next one
// starts: those of one customer, or of a whole organisation when parent is
// "organizations/acme/customers/-". A state of 0 is any.
func (c *Complaints) List(r kv.Reader, parent string, state feedbackv1.Complaint_State, after []byte, limit int) ([]*feedbackv1.Complaint, []byte, error) {
	owner, err := listOwner(parent)
	if err != nil {
		return nil, nil, err
	}
	q := kv.Query{Index: "time", Prefix: kv.Key{kv.String(owner)}, Reverse: true, After: after, Limit: limit}
	if state != 0 {
		q.Index, q.Prefix = "state", q.Prefix.With(kv.Int64(int64(state)))
	}
	p, err := c.complaints.List(r, q)
	if err != nil {
		return nil, nil, err
	}
	out := make([]*feedbackv1.Complaint, len(p.Records))
	for i, rec := range p.Records {
		out[i] = view(rec)
	}
	return out, p.Next, nil
}

// listOwner returns the first part of the index keys that a List goes over.
func listOwner(parent string) (string, error) {
	if resource.Pattern("organizations/{organization}/customers/-").Matches(parent) {
		return resource.Parent(parent), nil
	}
	_, err := Customer.Parse("parent", parent)
	return parent, err
}

// Complainant returns the name of the customer whose complaint it is.
func Complainant(name string) string { return resource.Parent(name) }

// ForComplainant removes from v what the enterprise keeps to itself.
func ForComplainant(v *feedbackv1.Complaint) *feedbackv1.Complaint {
	v.Severity, v.Owner, v.Cause = 0, "", ""
	complainant := Complainant(v.GetName())
	for _, m := range v.GetHistory() {
		if m.GetActor() != complainant {
			m.Actor, m.Note = "", ""
		}
	}
	return v
}

func view(rec kv.Record[*feedbackv1.Complaint]) *feedbackv1.Complaint {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}

func checkStaff(field, organization, name string) error {
	if name == "" {
		return nil
	}
	ids, err := staff.Parse(field, name)
	if err != nil {
		return err
	}
	if ids[0] != organization {
		return errs.InvalidField(field, resource.Reason, "name a member of staff of the same organisation")
	}
	return nil
}

func word(s feedbackv1.Complaint_State) string { return s.String()[len("STATE_"):] }
