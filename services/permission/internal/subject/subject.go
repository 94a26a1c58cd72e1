// Package subject mirrors from identity what decides who a grant speaks of:
// accounts that may do nothing, sessions that have ended, and which accounts
// are in which team.
//
// It holds no account that always was active, so a million customers who are in
// no team take no room. identity owns the facts: who may not act it says
// directly, before its own change returns; the rest its feed brings, late by
// as long as the feed takes. How an account logs in and what it is called are
// none of this service's business.
package subject

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/revision"
)

// Forms of the names that a grant can have as its subject, besides those of
// service accounts.
const (
	teamPattern     = resource.Pattern("organizations/{organization}/teams/{team}")
	staffPattern    = resource.Pattern("organizations/{organization}/staff/{staff_member}")
	customerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")
	programPattern  = resource.Pattern("organizations/{organization}/serviceAccounts/{service_account}")

	allStaff     = "/allStaff"
	allCustomers = "/allCustomers"
)

// AllStaff returns the subject that stands for all staff of an organisation.
func AllStaff(organization string) string { return organization + allStaff }

// AllCustomers returns the subject that stands for all customers.
func AllCustomers(organization string) string { return organization + allCustomers }

// Class returns the subject that stands for all accounts of the account's kind
// in its organisation; "" when there is none.
func Class(account string) string {
	switch kind, organization, _ := authn.ParseName(account); kind {
	case authn.Staff:
		return AllStaff(organization)
	case authn.Customer:
		return AllCustomers(organization)
	default:
		return ""
	}
}

// IsAccount reports whether the name is that of an account.
func IsAccount(name string) bool {
	return staffPattern.Matches(name) || customerPattern.Matches(name) || programPattern.Matches(name)
}

// IsTeam reports whether the name is that of a team.
func IsTeam(name string) bool { return teamPattern.Matches(name) }

// IsGrantable reports whether the name is one that a grant can have as its
// subject.
func IsGrantable(name string) bool {
	for _, class := range []string{allStaff, allCustomers} {
		if organization, ok := strings.CutSuffix(name, class); ok {
			return resource.Pattern("organizations/{organization}").Matches(organization)
		}
	}
	return IsAccount(name) || IsTeam(name)
}

// OrganizationOf returns the organisation of a well-formed name, as in
// "organizations/acme".
func OrganizationOf(name string) string {
	id, _ := resource.Organization(name)
	return "organizations/" + id
}

// Subjects are the mirrored facts. It is safe for concurrent use.
type Subjects struct {
	standings   *kv.Table[*storev1.Standing]
	memberships *kv.Table[*storev1.Membership]
	ended       *kv.Table[*storev1.EndedSessions]
}

const byTeam = "team"

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
		ended: endedTable(),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Subjects) Tables() []string {
	return slices.Concat(s.standings.Tables(), s.memberships.Tables(), s.ended.Tables())
}

// Facts are what a check needs to know of an account.
type Facts struct {
	// Denied says that the account may do nothing.
	Denied bool
	// Teams are those it is in, by name.
	Teams []string
	// Ended are the ids of its sessions that have ended, in order.
	Ended []string
	// EndedThrough, when set, says that all its sessions up to this one, in the
	// order of ids, have ended too.
	EndedThrough string
}

// Facts returns the facts of an account; the zero Facts for one of which
// identity has said nothing.
func (s *Subjects) Facts(r kv.Reader, account string) (Facts, error) {
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
		facts.Teams = append(facts.Teams, rec.Value.GetTeam())
	}
	return facts, nil
}

// AnyMember reports whether the team has a member that may do anything.
func (s *Subjects) AnyMember(r kv.Reader, team string) (bool, error) {
	for rec, err := range s.memberships.Scan(r, kv.Query{Index: byTeam, Prefix: kv.Key{kv.String(team)}}) {
		if err != nil {
			return false, err
		}
		denied, err := s.Denied(r, rec.Value.GetAccount())
		if err != nil || !denied {
			return !denied, err
		}
	}
	return false, nil
}

// AddMember takes over that an account is in a team.
func (s *Subjects) AddMember(tx kv.Tx, at time.Time, team, account string) error {
	m := &storev1.Membership{Team: team, Account: account}
	_, found, err := s.memberships.Find(tx, keyOf(m))
	if err != nil || found {
		return err
	}
	if _, err := s.memberships.Create(tx, m); err != nil {
		return err
	}
	return touch(tx, at, account)
}

// RemoveMember takes over that an account is no longer in a team.
func (s *Subjects) RemoveMember(tx kv.Tx, at time.Time, team, account string) error {
	m := &storev1.Membership{Team: team, Account: account}
	_, found, err := s.memberships.Find(tx, keyOf(m))
	if err != nil || !found {
		return err
	}
	if _, err := s.memberships.Delete(tx, keyOf(m), ""); err != nil {
		return err
	}
	return touch(tx, at, account)
}

// RemoveTeam takes over that a team is gone: nobody is in it any more.
func (s *Subjects) RemoveTeam(tx kv.Tx, at time.Time, team string) error {
	var accounts []string
	for rec, err := range s.memberships.Scan(tx, kv.Query{Index: byTeam, Prefix: kv.Key{kv.String(team)}}) {
		if err != nil {
			return err
		}
		accounts = append(accounts, rec.Value.GetAccount())
	}
	for _, account := range accounts {
		if _, err := s.memberships.Delete(tx, keyOf(&storev1.Membership{Team: team, Account: account}), ""); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(accounts, touchedAtOnce) {
		if _, err := revision.Bump(tx, OrganizationOf(team), at, chunk...); err != nil {
			return err
		}
	}
	return nil
}

// touchedAtOnce is how many names one revision touches: far below what a value
// of the store can hold.
const touchedAtOnce = 500

// RemoveAccount takes over that an account is gone for good. Whoever has the
// name from then on is somebody else.
func (s *Subjects) RemoveAccount(tx kv.Tx, at time.Time, account string) error {
	facts, err := s.Facts(tx, account)
	if err != nil {
		return err
	}
	if err := s.forget(tx, account); err != nil {
		return err
	}
	if !facts.Denied && len(facts.Teams) == 0 && !facts.anyEnded() {
		return nil
	}
	for _, team := range facts.Teams {
		if _, err := s.memberships.Delete(tx, keyOf(&storev1.Membership{Team: team, Account: account}), ""); err != nil {
			return err
		}
	}
	return touch(tx, at, account)
}

func keyOf(m *storev1.Membership) kv.Key {
	return kv.Key{kv.String(m.GetAccount()), kv.String(m.GetTeam())}
}

func touch(tx kv.Tx, at time.Time, account string) error {
	_, err := revision.Bump(tx, OrganizationOf(account), at, account)
	return err
}
