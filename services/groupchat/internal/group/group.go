// Package group holds the rules of customer groups: who is in one, who may
// change that, and what becomes of a group that is deleted.
//
//	live --delete--> deleted --undelete--> live
//	                 deleted --purge time over--> gone, with members and messages
//
// A group has exactly one owner at any time. What members may do in their
// group is decided by service permission, from grants that follow the
// memberships: each change of a membership writes, in the same transaction, an
// intent that says which role the account is to have, and package intent
// carries it there.
//
// The package knows no gRPC and calls nobody: it works on the API's messages
// inside a change's transaction.
package group

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Name is the form of a group's name.
const Name = resource.Pattern("organizations/{organization}/groups/{group}")

// Organization is the form of the parent of groups.
const Organization = resource.Pattern("organizations/{organization}")

// Limits bounds groups.
type Limits struct {
	// MaxMembers is the most members of a group.
	MaxMembers int32
	// PurgeAfter is how long a deleted group can be undeleted.
	PurgeAfter time.Duration
}

// Create makes a group that the actor owns. Reasons: GROUP_EXISTS.
func (g *Groups) Create(tx *change.Tx, parent, id, actor string, in *groupchatv1.Group) (*groupchatv1.Group, error) {
	org, err := Organization.Parse("parent", parent)
	if err != nil {
		return nil, err
	}
	id, err = tx.IDOr("group_id", id)
	if err != nil {
		return nil, err
	}
	now := timestamppb.New(tx.Time)
	v := &groupchatv1.Group{
		Name:        Name.Format(org[0], id),
		DisplayName: in.GetDisplayName(),
		Description: in.GetDescription(),
		// Of one of the organisation's types, or none.
		DefaultMessageType: in.GetDefaultMessageType(),

		Owner:         actor,
		MemberCount:   1,
		MemberVersion: nextVersion(0, tx.Time),
		CreateTime:    now,
		UpdateTime:    now,
	}
	rec, err := g.groups.Create(tx, v)
	if err != nil {
		return nil, err
	}
	record(tx, v.Name, "created")
	if err := g.attribute(tx, nil, v, actor); err != nil {
		return nil, err
	}
	owner := &groupchatv1.Member{
		Account: actor, Role: groupchatv1.MemberRole_MEMBER_ROLE_OWNER, Inviter: actor,
	}
	if _, err := g.insertMember(tx, v, owner); err != nil {
		return nil, err
	}
	return viewGroup(rec), nil
}

// Get returns a group, also a deleted one. Reasons: GROUP_NOT_FOUND.
func (g *Groups) Get(r kv.Reader, name string) (*groupchatv1.Group, error) {
	rec, err := g.get(r, "name", name)
	if err != nil {
		return nil, err
	}
	return viewGroup(rec), nil
}

// Live returns a group that is not deleted. Reasons: GROUP_NOT_FOUND,
// GROUP_DELETED.
func (g *Groups) Live(r kv.Reader, field, name string) (*groupchatv1.Group, error) {
	rec, err := g.get(r, field, name)
	if err != nil {
		return nil, err
	}
	if rec.Value.GetDeleteTime() != nil {
		return nil, errDeleted()
	}
	return rec.Value, nil
}

// GetMany returns groups in the order of their names, nil where there is none.
func (g *Groups) GetMany(r kv.Reader, names []string) ([]*groupchatv1.Group, error) {
	keys := make([]kv.Key, len(names))
	for i, name := range names {
		keys[i] = nameKey(name)
	}
	records, err := g.groups.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	out := make([]*groupchatv1.Group, len(records))
	for i, rec := range records {
		out[i] = rec.Value
	}
	return out, nil
}

func errDeleted() error {
	return errs.New(errs.Precondition, "GROUP_DELETED", "the group is deleted; undelete it first")
}

func (g *Groups) get(r kv.Reader, field, name string) (kv.Record[*groupchatv1.Group], error) {
	if _, err := Name.Parse(field, name); err != nil {
		return kv.Record[*groupchatv1.Group]{}, err
	}
	return g.groups.Get(r, nameKey(name))
}

// ListAll returns a page of an organisation's groups, by name, and where the
// next one starts.
func (g *Groups) ListAll(r kv.Reader, parent string, deleted bool, after []byte, limit int) ([]*groupchatv1.Group, []byte, error) {
	q := kv.Query{Index: "live", Prefix: kv.Key{kv.String(parent)}, After: after, Limit: limit}
	if deleted {
		q.Index = "all"
	}
	p, err := g.groups.List(r, q)
	if err != nil {
		return nil, nil, err
	}
	out := make([]*groupchatv1.Group, len(p.Records))
	for i, rec := range p.Records {
		out[i] = viewGroup(rec)
	}
	return out, p.Next, nil
}

// ListOf returns a page of the groups that an account is a member of, by name,
// and where the next one starts. A page may hold fewer than limit, even none,
// before the end: deleted groups are left out after reading.
func (g *Groups) ListOf(r kv.Reader, account string, deleted bool, after []byte, limit int) ([]*groupchatv1.Group, []byte, error) {
	p, err := g.members.List(r, kv.Query{Index: "account", Prefix: kv.Key{kv.String(account)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	keys := make([]kv.Key, len(p.Records))
	for i, rec := range p.Records {
		keys[i] = nameKey(resource.Parent(rec.Value.GetName()))
	}
	records, err := g.groups.GetMany(r, keys)
	if err != nil {
		return nil, nil, err
	}
	var out []*groupchatv1.Group
	for _, rec := range records {
		if rec.Found() && (deleted || rec.Value.GetDeleteTime() == nil) {
			out = append(out, viewGroup(rec))
		}
	}
	return out, p.Next, nil
}

// Update changes the fields at the paths: "display_name", "description" and
// "default_message_type", which is one of the organisation's types, or empty. The
// words are the author's from then on. Reasons: GROUP_NOT_FOUND, GROUP_DELETED,
// ETAG_MISMATCH.
func (g *Groups) Update(tx *change.Tx, author string, in *groupchatv1.Group, paths []string) (*groupchatv1.Group, error) {
	rec, err := g.get(tx, "group.name", in.GetName())
	if err != nil {
		return nil, err
	}
	if rec.Value.GetDeleteTime() != nil {
		return nil, errDeleted()
	}
	now, err := g.modify(tx, rec, in.GetEtag(), "updated", func(v *groupchatv1.Group) {
		fieldmask.Apply(v, in, paths)
	})
	if err != nil {
		return nil, err
	}
	return now, g.attribute(tx, rec.Value, now, author)
}

// Delete marks a group deleted until its purge time. Deleting a deleted one
// changes nothing. Reasons: GROUP_NOT_FOUND, ETAG_MISMATCH.
func (g *Groups) Delete(tx *change.Tx, name, etag string) (*groupchatv1.Group, error) {
	rec, err := g.get(tx, "name", name)
	if err != nil {
		return nil, err
	}
	return g.modify(tx, rec, etag, "deleted", func(v *groupchatv1.Group) {
		if v.DeleteTime == nil {
			v.DeleteTime = timestamppb.New(tx.Time)
			v.PurgeTime = timestamppb.New(tx.Time.Add(g.limits.PurgeAfter))
		}
	})
}

// Undelete brings a deleted group back. From its purge time on it is not found,
// though some of it may be there still: its messages may be on their way out.
// Reasons: GROUP_NOT_FOUND, ETAG_MISMATCH, NOT_DELETED.
func (g *Groups) Undelete(tx *change.Tx, name, etag string) (*groupchatv1.Group, error) {
	rec, err := g.get(tx, "name", name)
	if err != nil {
		return nil, err
	}
	if rec.Value.GetDeleteTime() == nil {
		return nil, errs.New(errs.Exists, "NOT_DELETED", "the group is not deleted")
	}
	if !tx.Time.Before(rec.Value.GetPurgeTime().AsTime()) {
		return nil, errs.NotFoundName("GROUP_NOT_FOUND", name)
	}
	return g.modify(tx, rec, etag, "undeleted", func(v *groupchatv1.Group) {
		v.DeleteTime, v.PurgeTime = nil, nil
	})
}

// nextVersion returns the version of members after v. It follows the clock,
// in microseconds, so that a group which is purged and made anew under its old
// name goes on above the versions that service permission remembers.
func nextVersion(v int64, now time.Time) int64 { return max(v+1, now.UnixMicro()) }

// modify changes a stored group, stamps it and records what changed. A change
// that changes nothing writes nothing.
func (g *Groups) modify(tx *change.Tx, rec kv.Record[*groupchatv1.Group], etag, past string, apply func(*groupchatv1.Group)) (*groupchatv1.Group, error) {
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	v := proto.CloneOf(rec.Value)
	apply(v)
	if proto.Equal(v, rec.Value) {
		tx.Unchanged()
		return viewGroup(rec), nil
	}
	v.UpdateTime = timestamppb.New(tx.Time)
	now, err := g.groups.Update(tx, v, "")
	if err != nil {
		return nil, err
	}
	record(tx, v.GetName(), past, change.ChangedFields(rec.Value, v)...)
	return viewGroup(now), nil
}

func record(tx *change.Tx, name, past string, fields ...string) {
	tx.Record(change.Change{Resource: name, Type: "guildhall.groupchat.group." + past + ".v1", ChangedFields: fields})
}
