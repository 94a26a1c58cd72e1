package identity_test

import (
	"context"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// other makes a second organisation and logs its administrator in.
func other(t *testing.T, p *process, operator context.Context) (context.Context, *identityv1.CreateOrganizationResponse) {
	t.Helper()
	made, err := p.organizations().CreateOrganization(operator, &identityv1.CreateOrganizationRequest{
		OrganizationId: "other", Organization: &identityv1.Organization{DisplayName: "Other"},
		AdministratorId: "chief", Administrator: &identityv1.StaffMember{DisplayName: "Chief", Email: "chief@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{
		Code: made.GetInvitation().GetCode(), Password: goodPassword,
	})
	if err != nil {
		t.Fatal(err)
	}
	return with(tokens), made
}

func TestOrganization_createdWithItsAdministrator(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		chief, made := other(t, p, ctx)
		if made.GetAdministrator().GetName() != "organizations/other/staff/chief" || made.GetAdministrator().GetState() != pending {
			t.Errorf("the administrator is %v", made.GetAdministrator())
		}
		_, err := p.organizations().CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{
			OrganizationId: "other", Organization: &identityv1.Organization{DisplayName: "Again"}, Administrator: &identityv1.StaffMember{DisplayName: "x"},
		})
		wantError(t, err, errs.Exists, "ORGANIZATION_EXISTS")
		updated, err := p.organizations().UpdateOrganization(chief, &identityv1.UpdateOrganizationRequest{
			Organization: &identityv1.Organization{Name: "organizations/other", DisplayName: "Renamed", Etag: made.GetOrganization().GetEtag()},
		})
		if err != nil || updated.GetDisplayName() != "Renamed" {
			t.Errorf("update: %v %v", updated, err)
		}
		_, err = p.organizations().UpdateOrganization(chief, &identityv1.UpdateOrganizationRequest{
			Organization: &identityv1.Organization{Name: "organizations/other", DisplayName: "Late", Etag: made.GetOrganization().GetEtag()},
		})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		var names []string
		req := &identityv1.ListOrganizationsRequest{PageSize: 1}
		for {
			resp, err := p.organizations().ListOrganizations(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range resp.GetOrganizations() {
				names = append(names, o.GetName())
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if strings.Join(names, " ") != "organizations/acme organizations/other" {
			t.Errorf("organisations are %v", names)
		}
	})
}

// TestTenants_doNotSeeEachOther: another organisation's resources are absent,
// whatever the caller may do in its own.
func TestTenants_doNotSeeEachOther(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	chief, _ := other(t, p, ctx)
	c, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	if _, err := p.teams().CreateTeam(ctx, &identityv1.CreateTeamRequest{Parent: org, TeamId: "sales", Team: &identityv1.Team{DisplayName: "Sales"}}); err != nil {
		t.Fatal(err)
	}
	name, team := c.GetName(), org+"/teams/sales"
	for call, err := range map[string]error{
		"get organisation": second(p.organizations().GetOrganization(chief, &identityv1.GetOrganizationRequest{Name: org})),
		"get":              second(p.customers().GetCustomer(chief, &identityv1.GetCustomerRequest{Name: name})),
		"list":             second(p.customers().ListCustomers(chief, &identityv1.ListCustomersRequest{Parent: org})),
		"batch get":        second(p.customers().BatchGetCustomers(chief, &identityv1.BatchGetCustomersRequest{Parent: "organizations/other", Names: []string{name}})),
		"create":           second(p.customers().CreateCustomer(chief, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{}})),
		"update":           second(p.customers().UpdateCustomer(chief, &identityv1.UpdateCustomerRequest{Customer: &identityv1.Customer{Name: name, DisplayName: "x"}})),
		"delete":           second(p.customers().DeleteCustomer(chief, &identityv1.DeleteCustomerRequest{Name: name})),
		"disable":          second(p.customers().DisableCustomer(chief, &identityv1.DisableCustomerRequest{Name: name})),
		"invite":           second(p.auth().CreateInvitation(chief, &identityv1.CreateInvitationRequest{Account: name})),
		"sessions":         second(p.auth().ListSessions(chief, &identityv1.ListSessionsRequest{Parent: name})),
		"revoke":           second(p.auth().RevokeSession(chief, &identityv1.RevokeSessionRequest{Name: name + "/sessions/-"})),
		"team":             second(p.teams().GetTeam(chief, &identityv1.GetTeamRequest{Name: team})),
		"delete team":      second(p.teams().DeleteTeam(chief, &identityv1.DeleteTeamRequest{Name: team})),
		"staff":            second(p.staff().GetStaffMember(chief, &identityv1.GetStaffMemberRequest{Name: admin})),
		"member of own team from elsewhere": func() error {
			if _, err := p.teams().CreateTeam(chief, &identityv1.CreateTeamRequest{Parent: "organizations/other", TeamId: "t", Team: &identityv1.Team{DisplayName: "T"}}); err != nil {
				return err
			}
			return second(p.teams().CreateTeamMember(chief, &identityv1.CreateTeamMemberRequest{
				Parent: "organizations/other/teams/t", TeamMember: &identityv1.TeamMember{Account: admin},
			}))
		}(),
		"audit": second(identityv1.NewIdentityAuditServiceClient(p.conn).ListAuditEntries(chief, &auditv1.ListAuditEntriesRequest{Parent: org})),
	} {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v, want not found", call, err)
		}
	}
}

// TestPermissions_areAsked: with nothing allowed, nothing that needs a
// permission passes.
func TestPermissions_areAsked(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
	for _, permission := range []string{
		"identity.customers.get", "identity.customers.disable", "identity.staff.create", "identity.teams.list",
		"identity.organizations.create", "identity.invitations.create", "identity.customers.import",
	} {
		p.checker.forbid(permission)
	}
	as := with(tokens)
	for call, err := range map[string]error{
		"get":     second(p.customers().GetCustomer(as, &identityv1.GetCustomerRequest{Name: c.GetName()})),
		"disable": second(p.customers().DisableCustomer(as, &identityv1.DisableCustomerRequest{Name: c.GetName()})),
		"create":  second(p.staff().CreateStaffMember(as, &identityv1.CreateStaffMemberRequest{Parent: org, StaffMember: &identityv1.StaffMember{DisplayName: "x"}})),
		"list":    second(p.teams().ListTeams(as, &identityv1.ListTeamsRequest{Parent: org})),
		"found": second(p.organizations().CreateOrganization(as, &identityv1.CreateOrganizationRequest{
			Organization: &identityv1.Organization{DisplayName: "x"}, Administrator: &identityv1.StaffMember{DisplayName: "x"},
		})),
		"invite": second(p.auth().CreateInvitation(as, &identityv1.CreateInvitationRequest{Account: c.GetName()})),
		"import": importError(as, p),
	} {
		if !errs.Is(err, errs.Denied) || errs.ReasonOf(err) != "PERMISSION_DENIED" {
			t.Errorf("%s: %v, want denied", call, err)
		}
	}
}

func importError(ctx context.Context, p *process) error {
	stream, err := p.customers().ImportCustomers(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{
		Options: &identityv1.ImportOptions{Parent: org},
	}}); err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

// second drops a response.
func second[T any](_ T, err error) error { return err }
