package group

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// eraseChunk is how many groups, or members, one transaction of an erasure changes.
const eraseChunk = 20

const byInviter = "inviter"

// Reindex makes the index by inviters for members from before there was one.
func (g *Groups) Reindex(ctx context.Context, s kv.Store) error {
	return g.members.Reindex(ctx, s, byInviter)
}

// EraseMember takes an account out of some of its groups, as Leave does; see
// erasure.Step. What is noted of its departure goes too.
func (g *Groups) EraseMember(tx *change.Tx, account string) (more bool, err error) {
	if _, err := g.departures.Remove(tx, nameKey(account)); err != nil {
		return false, err
	}
	p, err := g.members.List(tx, kv.Query{Index: "account", Prefix: nameKey(account), Limit: eraseChunk})
	if err != nil {
		return false, err
	}
	for _, rec := range p.Records {
		if err := g.leave(tx, rec.Value); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

// EraseInviter takes the name of an account out of some of the members that it
// added; see erasure.Step.
func (g *Groups) EraseInviter(tx *change.Tx, account string) (more bool, err error) {
	p, err := g.members.List(tx, kv.Query{Index: byInviter, Prefix: nameKey(account), Limit: eraseChunk})
	if err != nil {
		return false, err
	}
	for _, rec := range p.Records {
		m := rec.Value
		m.Inviter, m.UpdateTime = "", timestamppb.New(tx.Time)
		if _, err := g.members.Update(tx, m, ""); err != nil {
			return false, err
		}
		of, err := g.groups.Get(tx, nameKey(resource.Parent(m.GetName())))
		if err != nil {
			return false, err
		}
		if err := g.stamp(tx, of.Value); err != nil {
			return false, err
		}
		erasure.Emptied(tx, "members")
		recordMember(tx, m, "updated", "inviter")
	}
	return p.Next != nil, nil
}

// EraseWords takes away the names and descriptions that an account gave to some
// groups; see erasure.Step.
func (g *Groups) EraseWords(tx *change.Tx, account string) (more bool, err error) {
	p, err := g.words.List(tx, kv.Query{Index: byAuthor, Prefix: nameKey(account), Limit: eraseChunk})
	if err != nil {
		return false, err
	}
	for _, rec := range p.Records {
		w := rec.Value
		of, err := g.groups.Get(tx, nameKey(w.GetGroup()))
		if err != nil {
			return false, err
		}
		before := proto.CloneOf(of.Value)
		if unwritten(of.Value, w, account) {
			of.Value.UpdateTime = timestamppb.New(tx.Time)
			if _, err := g.groups.Update(tx, of.Value, ""); err != nil {
				return false, err
			}
			erasure.Emptied(tx, "groups")
			record(tx, w.GetGroup(), "updated", change.ChangedFields(before, of.Value)...)
		}
		if _, err := g.words.Update(tx, w, ""); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

// ExportedMembers lists the memberships of an account, by group.
func (g *Groups) ExportedMembers() portability.List {
	return portability.FromTable(g.members, func(account string) kv.Query {
		return kv.Query{Index: "account", Prefix: nameKey(account)}
	}, func(rec kv.Record[*groupchatv1.Member], _ string) proto.Message { return viewMember(rec) })
}

// ExportedGroups lists the groups to which an account gave their name or their
// description, by name, each with no more than that.
func (g *Groups) ExportedGroups() portability.List {
	return func(r kv.Reader, account string, after []byte, limit int) (portability.Page, error) {
		p, err := g.words.List(r, kv.Query{Index: byAuthor, Prefix: nameKey(account), After: after, Limit: limit})
		if err != nil {
			return portability.Page{}, err
		}
		out := portability.Page{Next: p.Next}
		for _, rec := range p.Records {
			of, err := g.groups.Get(r, nameKey(rec.Value.GetGroup()))
			if err != nil {
				return portability.Page{}, err
			}
			out.Records = append(out.Records, portability.Record{
				Value: written(of.Value, rec.Value, account), Position: rec.Position,
			})
		}
		return out, nil
	}
}
