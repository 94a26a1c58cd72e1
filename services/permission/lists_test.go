package permission_test

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// lists are what the tests' identity service has, by name: what its events
// told. A member of staff that no event told of is there, but for those who
// were purged.
type lists struct {
	identityv1.OrganizationServiceServer
	identityv1.StaffServiceServer
	identityv1.CustomerServiceServer
	identityv1.TeamServiceServer
	identityv1.SegmentServiceServer
	identityv1.ServiceAccountServiceServer

	mu            sync.Mutex
	organizations map[string]*identityv1.OrganizationCreated
	states        map[string]string
	purged        map[string]bool
	teams         map[string]map[string]bool
	parents       map[string]string
	segments      map[string]map[string]bool
}

func newLists() *lists {
	return &lists{
		organizations: make(map[string]*identityv1.OrganizationCreated), states: make(map[string]string),
		purged: make(map[string]bool), teams: make(map[string]map[string]bool), parents: make(map[string]string),
		segments: make(map[string]map[string]bool),
	}
}

func (l *lists) register(r grpc.ServiceRegistrar) {
	identityv1.RegisterOrganizationServiceServer(r, l)
	identityv1.RegisterStaffServiceServer(r, l)
	identityv1.RegisterCustomerServiceServer(r, l)
	identityv1.RegisterTeamServiceServer(r, l)
	identityv1.RegisterSegmentServiceServer(r, l)
	identityv1.RegisterServiceAccountServiceServer(r, l)
}

// answer serves one call at a time, with errors as another process sends them.
func (l *lists) answer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	resp, err := handle(ctx, req)
	if err != nil {
		return nil, rpc.ToStatus(err, "").Err()
	}
	return resp, nil
}

// tell takes over what an event tells.
func (l *lists) tell(kind, subject string, data proto.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch data := data.(type) {
	case *identityv1.OrganizationCreated:
		l.organizations[subject] = data
	case *identityv1.AccountStateChanged:
		l.states[subject] = data.GetState()
		delete(l.purged, subject)
	case *identityv1.TeamChanged:
		l.parents[subject] = data.GetParent()
	case *identityv1.TeamMemberChanged:
		if l.teams[data.GetTeam()] == nil {
			l.teams[data.GetTeam()] = make(map[string]bool)
		}
		l.teams[data.GetTeam()][data.GetAccount()] = strings.Contains(kind, "created")
	case *identityv1.SegmentMemberChanged:
		if l.segments[data.GetSegment()] == nil {
			l.segments[data.GetSegment()] = make(map[string]bool)
		}
		l.segments[data.GetSegment()][data.GetAccount()] = strings.Contains(kind, "created")
	}
	switch {
	case strings.Contains(kind, "account.purged"):
		delete(l.states, subject)
		l.purged[subject] = true
	case strings.Contains(kind, "team.deleted"):
		delete(l.teams, subject)
		delete(l.parents, subject)
	case strings.Contains(kind, "segment.deleted"):
		delete(l.segments, subject)
	}
}

func (l *lists) ListOrganizations(context.Context, *identityv1.ListOrganizationsRequest) (*identityv1.ListOrganizationsResponse, error) {
	resp := &identityv1.ListOrganizationsResponse{}
	for name, o := range l.organizations {
		resp.Organizations = append(resp.Organizations, &identityv1.Organization{Name: name, Administrator: o.GetAdministrator(), Operator: o.GetOperator()})
	}
	return resp, nil
}

// in returns the accounts of a collection that are in the state of the filter.
func (l *lists) in(collection, filter string) (names []string) {
	for name, state := range l.states {
		if strings.HasPrefix(name, collection) && filter == `state = "`+state+`"` {
			names = append(names, name)
		}
	}
	return names
}

func (l *lists) ListStaffMembers(_ context.Context, req *identityv1.ListStaffMembersRequest) (*identityv1.ListStaffMembersResponse, error) {
	resp := &identityv1.ListStaffMembersResponse{}
	for _, name := range l.in(req.GetParent()+"/staff/", req.GetFilter()) {
		resp.StaffMembers = append(resp.StaffMembers, &identityv1.StaffMember{Name: name})
	}
	return resp, nil
}

func (l *lists) ListCustomers(_ context.Context, req *identityv1.ListCustomersRequest) (*identityv1.ListCustomersResponse, error) {
	resp := &identityv1.ListCustomersResponse{}
	for _, name := range l.in(req.GetParent()+"/customers/", req.GetFilter()) {
		resp.Customers = append(resp.Customers, &identityv1.Customer{Name: name})
	}
	return resp, nil
}

func (l *lists) ListServiceAccounts(_ context.Context, req *identityv1.ListServiceAccountsRequest) (*identityv1.ListServiceAccountsResponse, error) {
	resp := &identityv1.ListServiceAccountsResponse{}
	for _, name := range l.in(req.GetParent()+"/serviceAccounts/", req.GetFilter()) {
		resp.ServiceAccounts = append(resp.ServiceAccounts, &identityv1.ServiceAccount{Name: name})
	}
	return resp, nil
}

func (l *lists) BatchGetServiceAccounts(_ context.Context, req *identityv1.BatchGetServiceAccountsRequest) (*identityv1.BatchGetServiceAccountsResponse, error) {
	return &identityv1.BatchGetServiceAccountsResponse{}, l.missing(req.GetNames())
}

func (l *lists) missing(names []string) error {
	for _, name := range names {
		if l.purged[name] {
			return errs.NotFoundName("STAFF_MEMBER_NOT_FOUND", name)
		}
	}
	return nil
}

func (l *lists) BatchGetStaffMembers(_ context.Context, req *identityv1.BatchGetStaffMembersRequest) (*identityv1.BatchGetStaffMembersResponse, error) {
	return &identityv1.BatchGetStaffMembersResponse{}, l.missing(req.GetNames())
}

func (l *lists) BatchGetCustomers(_ context.Context, req *identityv1.BatchGetCustomersRequest) (*identityv1.BatchGetCustomersResponse, error) {
	return &identityv1.BatchGetCustomersResponse{}, l.missing(req.GetNames())
}

func (l *lists) ListTeams(_ context.Context, req *identityv1.ListTeamsRequest) (*identityv1.ListTeamsResponse, error) {
	resp := &identityv1.ListTeamsResponse{}
	for name := range l.teams {
		if strings.HasPrefix(name, req.GetParent()+"/") {
			resp.Teams = append(resp.Teams, &identityv1.Team{Name: name, Parent: l.parents[name]})
		}
	}
	return resp, nil
}

func (l *lists) ListTeamMembers(_ context.Context, req *identityv1.ListTeamMembersRequest) (*identityv1.ListTeamMembersResponse, error) {
	resp := &identityv1.ListTeamMembersResponse{}
	for account, is := range l.teams[req.GetParent()] {
		if is {
			resp.TeamMembers = append(resp.TeamMembers, &identityv1.TeamMember{Account: account})
		}
	}
	return resp, nil
}

func (l *lists) ListSegments(_ context.Context, req *identityv1.ListSegmentsRequest) (*identityv1.ListSegmentsResponse, error) {
	resp := &identityv1.ListSegmentsResponse{}
	for name := range l.segments {
		if strings.HasPrefix(name, req.GetParent()+"/") {
			resp.Segments = append(resp.Segments, &identityv1.Segment{Name: name})
		}
	}
	return resp, nil
}

func (l *lists) ListSegmentMembers(_ context.Context, req *identityv1.ListSegmentMembersRequest) (*identityv1.ListSegmentMembersResponse, error) {
	resp := &identityv1.ListSegmentMembersResponse{}
	for customer, is := range l.segments[req.GetParent()] {
		if is {
			resp.SegmentMembers = append(resp.SegmentMembers, &identityv1.SegmentMember{Customer: customer})
		}
	}
	return resp, nil
}
