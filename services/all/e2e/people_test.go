package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// password is what everybody's password is.
const password = "seven quiet lamps over the guild hall door"

// person is an account that is logged in.
type person struct {
	name   string
	tokens *identityv1.TokenSet
	*api
}

// adoptOperator logs the first administrator in: with the one-time password
// alone it is refused, with a new password beside it not.
func (s *suite) adoptOperator(name, oneTimePassword string) *person {
	s.t.Helper()
	nobody := s.open(s.t, grpcDoor, "")
	req := &identityv1.LoginRequest{Organization: organizationOf(name), Identifier: name, Password: oneTimePassword}
	refused(nobody.auth.Login(s.t.Context(), req))(s.t, errs.Precondition, "PASSWORD_CHANGE_REQUIRED")
	req.NewPassword = password
	tokens := need(nobody.auth.Login(s.t.Context(), req))(s.t)
	p := &person{name: name, tokens: tokens, api: s.open(s.t, grpcDoor, tokens.GetAccessToken())}
	refused(nobody.auth.Login(s.t.Context(), req))(s.t, errs.Unauthenticated, "LOGIN_FAILED")
	until(s.t, "the operator may create organisations", func(ctx context.Context) error {
		_, err := p.organizations.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{})
		return err
	})
	return p
}

// organizationOf returns the organisation that a name is in.
func organizationOf(name string) string {
	parts := strings.SplitN(name, "/", 3)
	return parts[0] + "/" + parts[1]
}

// company is an organisation that a test has for itself.
type company struct {
	*suite
	t     testing.TB
	d     door
	name  string // "organizations/…"
	admin *person
}

// newID returns an id that nobody else uses.
func newID(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:10]) }

// found makes an organisation, whose administrator comes in by the door.
func (s *suite) found(t testing.TB, d door) *company {
	t.Helper()
	operator := s.open(t, d, s.operatorToken(t))
	made := need(operator.organizations.CreateOrganization(t.Context(), &identityv1.CreateOrganizationRequest{
		OrganizationId:  newID("co"),
		Organization:    &identityv1.Organization{DisplayName: "A company", DefaultLanguage: "zh-CN"},
		AdministratorId: "admin",
		Administrator:   &identityv1.StaffMember{DisplayName: "陈管理", Email: "admin@acme.example"},
	}))(t)
	c := &company{suite: s, t: t, d: d, name: made.GetOrganization().GetName()}
	c.admin = c.join(made.GetInvitation())
	until(t, "the administrator may administer", func(ctx context.Context) error {
		// What staff may do, an account may as soon as it is known.
		_, err := c.admin.grants.ListGrants(ctx, &permissionv1.ListGrantsRequest{Parent: c.name})
		return err
	})
	return c
}

// operatorToken returns a fresh token of the operator: the first may be old by
// the time of the last test.
func (s *suite) operatorToken(t testing.TB) string {
	t.Helper()
	nobody := s.open(t, grpcDoor, "")
	return need(nobody.auth.Login(t.Context(), &identityv1.LoginRequest{
		Organization: organizationOf(s.operator.name), Identifier: s.operator.name, Password: password,
	}))(t).GetAccessToken()
}

// join accepts an invitation.
func (c *company) join(i *identityv1.Invitation) *person {
	c.t.Helper()
	tokens := need(c.open(c.t, c.d, "").auth.AcceptInvitation(c.t.Context(), &identityv1.AcceptInvitationRequest{
		Code: i.GetCode(), Password: password, DeviceLabel: "test",
	}))(c.t)
	return c.as(tokens)
}

// as returns the person that tokens were given to.
func (c *company) as(tokens *identityv1.TokenSet) *person {
	return &person{name: tokens.GetAccount(), tokens: tokens, api: c.open(c.t, c.d, tokens.GetAccessToken())}
}

// through returns the person at another door.
func (c *company) through(d door, p *person) *person {
	return &person{name: p.name, tokens: p.tokens, api: c.open(c.t, d, p.tokens.GetAccessToken())}
}

// login logs an account in with its password.
func (c *company) login(name string) (*identityv1.TokenSet, error) {
	return c.open(c.t, c.d, "").auth.Login(c.t.Context(), &identityv1.LoginRequest{
		Organization: c.name, Identifier: name, Password: password,
	})
}

// hire makes a member of staff and logs it in.
func (c *company) hire(id string) *person {
	c.t.Helper()
	member := need(c.admin.staff.CreateStaffMember(c.t.Context(), &identityv1.CreateStaffMemberRequest{
		Parent: c.name, StaffMemberId: id,
		StaffMember: &identityv1.StaffMember{DisplayName: "Staff " + id, Email: id + "@acme.example"},
	}))(c.t)
	return c.join(c.invite(member.GetName()))
}

// enrol makes a customer and logs it in.
func (c *company) enrol(id string) *person {
	c.t.Helper()
	customer := need(c.admin.customers.CreateCustomer(c.t.Context(), &identityv1.CreateCustomerRequest{
		Parent: c.name, CustomerId: id,
		Customer: &identityv1.Customer{DisplayName: "Customer " + id, Email: id + "@customer.example", ExternalId: "ext-" + id},
	}))(c.t)
	return c.join(c.invite(customer.GetName()))
}

func (c *company) invite(account string) *identityv1.Invitation {
	c.t.Helper()
	return need(c.admin.auth.CreateInvitation(c.t.Context(), &identityv1.CreateInvitationRequest{Account: account, ShowCode: true}))(c.t)
}

// grant gives a role on a resource and returns the grant.
func (c *company) grant(subject, role, resource string) *permissionv1.Grant {
	c.t.Helper()
	return need(c.admin.grants.CreateGrant(c.t.Context(), &permissionv1.CreateGrantRequest{
		Parent: c.name, Grant: &permissionv1.Grant{Subject: subject, Role: role, Resource: resource, Reason: "for the test"},
	}))(c.t)
}

// eventually waits until a call is allowed that a change in another service
// will allow.
func eventually[T any](t testing.TB, what string, call func(ctx context.Context) (T, error)) T {
	t.Helper()
	var answer T
	until(t, what, func(ctx context.Context) (err error) {
		if answer, err = call(ctx); err != nil && !errs.Is(err, errs.Denied) {
			t.Fatalf("%s: %v", what, err)
		}
		return err
	})
	return answer
}

// wants compares two values that print.
func wants[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}
