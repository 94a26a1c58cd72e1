package group

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Groups keeps groups, their members, and the grants that are yet to be made
// for them.
//
//	groups           name -> Group (no etag, no last_sequence)
//	groups__live     organisation, name         of those not deleted
//	groups__all      organisation, name
//	groups__purge    purge time                 of deleted ones
//	members          group, name -> Member (no etag)
//	members__account account, group
//	members__inviter account                    that added them
//	grant_intents    group, account -> GrantIntent
//	departures       account -> Departure
//	group_words      group -> GroupWords
//	group_words__author  account                of its name or its description
type Groups struct {
	limits  Limits
	groups  *kv.Table[*groupchatv1.Group]
	members *kv.Table[*groupchatv1.Member]
	intents *kv.Table[*storev1.GrantIntent]

	departures *kv.Table[*storev1.Departure]
	words      *kv.Table[*storev1.GroupWords]
}

// New returns the centre. It does no I/O.
func New(limits Limits) *Groups {
	return &Groups{
		limits: limits, departures: departures(), words: words(),
		groups: kv.NewTable(kv.TableConfig[*groupchatv1.Group]{
			Name:     "groups",
			Key:      func(g *groupchatv1.Group) kv.Key { return nameKey(g.GetName()) },
			NotFound: "GROUP_NOT_FOUND",
			Exists:   "GROUP_EXISTS",
			Indexes: []kv.Index[*groupchatv1.Group]{
				{Name: "live", Keys: func(g *groupchatv1.Group) []kv.Key {
					if g.GetDeleteTime() != nil {
						return nil
					}
					return []kv.Key{inOrganization(g)}
				}},
				{Name: "all", Keys: func(g *groupchatv1.Group) []kv.Key { return []kv.Key{inOrganization(g)} }},
				{Name: "purge", Keys: func(g *groupchatv1.Group) []kv.Key {
					if g.GetPurgeTime() == nil {
						return nil
					}
					return []kv.Key{{kv.Time(g.GetPurgeTime().AsTime())}}
				}},
			},
		}),
		members: kv.NewTable(kv.TableConfig[*groupchatv1.Member]{
			Name:     "members",
			Key:      func(m *groupchatv1.Member) kv.Key { return memberKey(m.GetName()) },
			NotFound: "MEMBER_NOT_FOUND",
			Exists:   "MEMBER_EXISTS",
			Indexes: []kv.Index[*groupchatv1.Member]{{
				Name: "account",
				Keys: func(m *groupchatv1.Member) []kv.Key {
					return []kv.Key{{kv.String(m.GetAccount()), kv.String(resource.Parent(m.GetName()))}}
				},
			}, {
				Name: byInviter,
				Keys: func(m *groupchatv1.Member) []kv.Key { return accountKeys(m.GetInviter()) },
			}},
		}),
		intents: kv.NewTable(kv.TableConfig[*storev1.GrantIntent]{
			Name: "grant_intents",
			Key:  func(i *storev1.GrantIntent) kv.Key { return intentKey(i.GetResource(), i.GetSubject()) },
		}),
	}
}

// Tables returns the raw tables to open.
func (g *Groups) Tables() []string {
	return slices.Concat(g.groups.Tables(), g.members.Tables(), g.intents.Tables(), g.departures.Tables(), g.words.Tables())
}

func nameKey(name string) kv.Key { return kv.Key{kv.String(name)} }

func inOrganization(g *groupchatv1.Group) kv.Key {
	return kv.Key{kv.String(resource.Parent(g.GetName())), kv.String(g.GetName())}
}

func memberKey(name string) kv.Key {
	return kv.Key{kv.String(resource.Parent(name)), kv.String(name)}
}

func intentKey(group, account string) kv.Key {
	return kv.Key{kv.String(group), kv.String(account)}
}

func viewGroup(rec kv.Record[*groupchatv1.Group]) *groupchatv1.Group {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}

func viewMember(rec kv.Record[*groupchatv1.Member]) *groupchatv1.Member {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}
