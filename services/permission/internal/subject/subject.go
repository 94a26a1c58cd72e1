// Package subject mirrors from identity what decides who a grant speaks of:
// accounts that may do nothing, sessions that have ended, which accounts are in
// which team and segment, and which team is below which.
//
// It holds no account that always was active, so a million customers who are in
// no team take no room. identity owns the facts: who may not act it says
// directly, before its own change returns; the rest its feed brings, and
// identity waits for that before it says that somebody has left a team. How an account logs in and what it is called are
// none of this service's business.
//
// That a team is below another is a fact of that team alone, and its members
// do not know of it: so a team that moves is one change, however many are in
// it and below it.
package subject

import (
	"iter"
	"slices"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
)

// MaxDepth is how many teams one above the other are believed. identity allows
// no more and no circles; if one came all the same, or a half of a move, what
// is allowed to the teams above would count for nobody.
const MaxDepth = 16

// Subjects are the mirrored facts. It is safe for concurrent use.
type Subjects struct {
	standings   *kv.Table[*storev1.Standing]
	memberships *kv.Table[*storev1.Membership]
	parents     *kv.Table[*storev1.TeamParent]
	ended       *kv.Table[*storev1.EndedSessions]
}

const (
	byTeam   = "team"
	byParent = "parent"
)

// New returns the facts that the store holds.
func New() *Subjects {
	return &Subjects{
		standings: kv.NewTable(kv.TableConfig[*storev1.Standing]{
			Name: "standings", Key: func(s *storev1.Standing) kv.Key { return kv.Key{kv.String(s.GetAccount())} },
		}),
		memberships: kv.NewTable(kv.TableConfig[*storev1.Membership]{
			Name: "memberships",
			Key: func(m *storev1.Membership) kv.Key {
				return kv.Key{kv.String(m.GetAccount()), kv.String(m.GetTeam())}
			},
			Indexes: []kv.Index[*storev1.Membership]{{
				Name: byTeam, Keys: func(m *storev1.Membership) []kv.Key { return []kv.Key{{kv.String(m.GetTeam())}} },
			}},
		}),
		parents: kv.NewTable(kv.TableConfig[*storev1.TeamParent]{
			Name: "team_parents", Key: func(p *storev1.TeamParent) kv.Key { return kv.Key{kv.String(p.GetTeam())} },
			Indexes: []kv.Index[*storev1.TeamParent]{{
				Name: byParent, Keys: func(p *storev1.TeamParent) []kv.Key { return []kv.Key{{kv.String(p.GetParent())}} },
			}},
		}),
		ended: endedTable(),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Subjects) Tables() []string {
	return slices.Concat(s.standings.Tables(), s.memberships.Tables(), s.parents.Tables(), s.ended.Tables())
}

// Facts are what a check needs to know of an account or a team.
type Facts struct {
	// Denied says that the account may do nothing.
	Denied bool
	// Teams and Segments are those that the account is in itself, by name.
	Teams, Segments []string
	// Parent is the team that the team is below; "" for one at the top.
	Parent string
	// Ended are the ids of the account's sessions that have ended and whose
	// tokens may still be about, in order.
	Ended []string
	// EndedThrough, when set, says that all its sessions up to this one, in the
	// order of ids, have ended too.
	EndedThrough string
}

// Facts returns the facts of an account or a team; the zero Facts for one of
// which identity has said nothing.
func (s *Subjects) Facts(r kv.Reader, name string) (Facts, error) {
	switch {
	case IsAccount(name):
		return s.accountFacts(r, name)
	case IsTeam(name):
		parent, err := s.parent(r, name)
		return Facts{Parent: parent}, err
	default:
		return Facts{}, nil
	}
}

func (s *Subjects) accountFacts(r kv.Reader, account string) (Facts, error) {
	denied, err := s.Denied(r, account)
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{Denied: denied}
	if err := s.readEnded(r, account, &facts); err != nil {
		return Facts{}, err
	}
	for rec, err := range s.memberships.Scan(r, kv.Query{Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return Facts{}, err
		}
		if in := rec.Value.GetTeam(); IsSegment(in) {
			facts.Segments = append(facts.Segments, in)
		} else {
			facts.Teams = append(facts.Teams, in)
		}
	}
	return facts, nil
}

func (s *Subjects) parent(r kv.Reader, team string) (string, error) {
	rec, found, err := s.parents.Find(r, kv.Key{kv.String(team)})
	if err != nil || !found {
		return "", err
	}
	return rec.Value.GetParent(), nil
}

// Above returns the teams above a team, the nearest first, and whether they
// are believed; see MaxDepth.
func (s *Subjects) Above(r kv.Reader, team string) (teams []string, believed bool, err error) {
	for at := team; len(teams) < MaxDepth; {
		parent, err := s.parent(r, at)
		if err != nil || parent == "" {
			return teams, true, err
		}
		if parent == team || slices.Contains(teams, parent) {
			return teams, false, nil
		}
		teams = append(teams, parent)
		at = parent
	}
	return teams[:MaxDepth-1], false, nil
}

// Members yields the accounts that are in the team, or in a team below it to
// which its grants reach. An account that is in several comes as often.
func (s *Subjects) Members(r kv.Reader, team string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		teams := []string{team}
		for depth := 0; len(teams) > 0 && depth < MaxDepth; depth++ {
			var below []string
			for _, t := range teams {
				for rec, err := range s.memberships.Scan(r, kv.Query{Index: byTeam, Prefix: kv.Key{kv.String(t)}}) {
					if !yield(rec.Value.GetAccount(), err) || err != nil {
						return
					}
				}
				next, err := s.below(r, t)
				if err != nil {
					yield("", err)
					return
				}
				below = append(below, next...)
			}
			teams = below
		}
	}
}

// below returns the teams directly below a team to which its grants reach:
// none that is in a circle.
func (s *Subjects) below(r kv.Reader, team string) (teams []string, err error) {
	for rec, err := range s.parents.Scan(r, kv.Query{Index: byParent, Prefix: kv.Key{kv.String(team)}}) {
		if err != nil {
			return nil, err
		}
		_, believed, err := s.Above(r, rec.Value.GetTeam())
		if err != nil {
			return nil, err
		}
		if believed {
			teams = append(teams, rec.Value.GetTeam())
		}
	}
	return teams, nil
}
