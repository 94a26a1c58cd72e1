package subject

import (
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/resource"
)

// Forms of the names that a grant can have as its subject, besides those of
// classes and holders.
const (
	teamPattern     = resource.Pattern("organizations/{organization}/teams/{team}")
	segmentPattern  = resource.Pattern("organizations/{organization}/segments/{segment}")
	staffPattern    = resource.Pattern("organizations/{organization}/staff/{staff_member}")
	customerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")
	programPattern  = resource.Pattern("organizations/{organization}/serviceAccounts/{service_account}")

	allStaff     = "/allStaff"
	allCustomers = "/allCustomers"
	everyone     = "/everyone"
	// holdersMark stands between the resource and the role of a holder form.
	// No name has it.
	holdersMark = "#"
	allHolders  = "#holders"
)

// AllStaff returns the subject that stands for all staff of an organisation.
func AllStaff(organization string) string { return organization + allStaff }

// AllCustomers returns the subject that stands for all customers.
func AllCustomers(organization string) string { return organization + allCustomers }

// Everyone returns the subject that stands for all accounts of an
// organisation, service accounts too.
func Everyone(organization string) string { return organization + everyone }

// AllHolders returns the name under which the grants to all holder forms of an
// organisation are kept together. It is no subject of a grant.
func AllHolders(organization string) string { return organization + allHolders }

// Organization is the form of the names of organisations.
const Organization = resource.Pattern("organizations/{organization}")

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

// OfAccounts returns the forms of names of what accounts of all kinds have, as in
// "…/staff/{staff_member}/notices/{notice}".
func OfAccounts(collection string) []resource.Pattern {
	below := resource.Pattern("/" + collection + "/{id}")
	return []resource.Pattern{staffPattern + below, customerPattern + below, programPattern + below}
}

// IsTeam reports whether the name is that of a team.
func IsTeam(name string) bool { return teamPattern.Matches(name) }

// IsSegment reports whether the name is that of a segment of customers.
func IsSegment(name string) bool { return segmentPattern.Matches(name) }

// IsClass reports whether the name stands for everyone of a kind, or at all.
func IsClass(name string) bool {
	for _, class := range []string{allStaff, allCustomers, everyone} {
		if organization, ok := strings.CutSuffix(name, class); ok {
			return Organization.Matches(organization)
		}
	}
	return false
}

// Holders returns the subject that stands for whoever holds the role by a grant
// on the very resource.
func Holders(resource, role string) string { return resource + holdersMark + role }

// ParseHolders returns the resource and the role of a holder form, as in
// "organizations/acme/groups/g1#roles/group.admin", and whether the name looks
// like one. What stands on either side is the caller's to judge.
func ParseHolders(name string) (resource, role string, ok bool) {
	resource, role, ok = strings.Cut(name, holdersMark)
	return resource, role, ok && !strings.Contains(role, holdersMark)
}

// IsGrantable reports whether the name is one that a grant can have as its
// subject. Of a holder form it looks at the organisation alone.
func IsGrantable(name string) bool {
	if on, _, ok := ParseHolders(name); ok {
		_, ok := resource.Organization(on)
		return ok
	}
	return IsAccount(name) || IsTeam(name) || IsSegment(name) || IsClass(name)
}

// OrganizationOf returns the organisation of a well-formed name, as in
// "organizations/acme".
func OrganizationOf(name string) string {
	name, _, _ = strings.Cut(name, holdersMark)
	id, _ := resource.Organization(name)
	return "organizations/" + id
}
