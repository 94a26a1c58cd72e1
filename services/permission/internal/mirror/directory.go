package mirror

import (
	"context"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	pageSize = 1000
	// batchSize keeps an answer with whole accounts below the size limit of a
	// message.
	batchSize = 500
)

// Directory reads what identity has, with clients of its services. Its methods
// call page between RPCs.
type Directory struct {
	Organizations identityv1.OrganizationServiceClient
	Staff         identityv1.StaffServiceClient
	Customers     identityv1.CustomerServiceClient
	Teams         identityv1.TeamServiceClient
	Segments      identityv1.SegmentServiceClient
	Programs      identityv1.ServiceAccountServiceClient
}

// all reads the pages of a list.
func all[R interface{ GetNextPageToken() string }](read func(token string) (R, error), each func(R), page func() error) error {
	for token := ""; ; {
		resp, err := read(token)
		if err != nil {
			return err
		}
		each(resp)
		if err := page(); err != nil {
			return err
		}
		if token = resp.GetNextPageToken(); token == "" {
			return nil
		}
	}
}

func (d Directory) allOrganizations(ctx context.Context, page func() error) (out []*identityv1.Organization, err error) {
	err = all(func(token string) (*identityv1.ListOrganizationsResponse, error) {
		return d.Organizations.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageSize: pageSize, PageToken: token})
	}, func(resp *identityv1.ListOrganizationsResponse) { out = append(out, resp.GetOrganizations()...) }, page)
	return out, err
}

// denied returns the accounts of an organisation that may do nothing, with
// their states. It does not read the others: they are many.
func (d Directory) denied(ctx context.Context, organization string, page func() error) (map[string]string, error) {
	out := make(map[string]string)
	for number, name := range identityv1.AccountState_name {
		state := strings.TrimPrefix(name, "ACCOUNT_STATE_")
		switch identityv1.AccountState(number) {
		case identityv1.AccountState_ACCOUNT_STATE_UNSPECIFIED, identityv1.AccountState_ACCOUNT_STATE_ACTIVE, identityv1.AccountState_ACCOUNT_STATE_PENDING:
			continue
		}
		filter := `state = "` + state + `"`
		err := all(func(token string) (*identityv1.ListStaffMembersResponse, error) {
			return d.Staff.ListStaffMembers(ctx, &identityv1.ListStaffMembersRequest{
				Parent: organization, Filter: filter, ShowDeleted: true, PageSize: batchSize, PageToken: token,
			})
		}, func(resp *identityv1.ListStaffMembersResponse) {
			for _, m := range resp.GetStaffMembers() {
				out[m.GetName()] = state
			}
		}, page)
		if err != nil {
			return nil, err
		}
		err = all(func(token string) (*identityv1.ListCustomersResponse, error) {
			return d.Customers.ListCustomers(ctx, &identityv1.ListCustomersRequest{
				Parent: organization, Filter: filter, ShowDeleted: true, PageSize: batchSize, PageToken: token,
			})
		}, func(resp *identityv1.ListCustomersResponse) {
			for _, c := range resp.GetCustomers() {
				out[c.GetName()] = state
			}
		}, page)
		if err != nil {
			return nil, err
		}
		if err := d.deniedPrograms(ctx, organization, state, out, page); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// team is what identity has of a team, or of a segment.
type team struct {
	parent  string // "" at the top, and of segments
	members map[string]bool
}

// has reports whether the account is in the team; nobody is in one that is not
// there.
func (t *team) has(account string) bool { return t != nil && t.members[account] }

// teams returns the teams of an organisation, where they are and who is in them.
func (d Directory) teams(ctx context.Context, organization string, page func() error) (map[string]*team, error) {
	out := make(map[string]*team)
	err := all(func(token string) (*identityv1.ListTeamsResponse, error) {
		return d.Teams.ListTeams(ctx, &identityv1.ListTeamsRequest{Parent: organization, PageSize: pageSize, PageToken: token})
	}, func(resp *identityv1.ListTeamsResponse) {
		for _, t := range resp.GetTeams() {
			out[t.GetName()] = &team{parent: t.GetParent(), members: make(map[string]bool)}
		}
	}, page)
	if err != nil {
		return nil, err
	}
	for name, t := range out {
		err := all(func(token string) (*identityv1.ListTeamMembersResponse, error) {
			return d.Teams.ListTeamMembers(ctx, &identityv1.ListTeamMembersRequest{Parent: name, PageSize: pageSize, PageToken: token})
		}, func(resp *identityv1.ListTeamMembersResponse) {
			for _, m := range resp.GetTeamMembers() {
				t.members[m.GetAccount()] = true
			}
		}, page)
		if errs.Is(err, errs.NotFound) {
			delete(out, name) // deleted meanwhile
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// gone returns those of the accounts that identity does not have. They are all
// of one organisation and one kind.
func (d Directory) gone(ctx context.Context, names []string, page func() error) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if err := page(); err != nil {
		return nil, err
	}
	var err error
	if len(names) <= batchSize {
		err = d.get(ctx, names)
		if !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if len(names) == 1 {
			return names, nil
		}
	}
	// A batch fails as a whole, so halves of it are asked for until it is
	// known which account is missing.
	first, err := d.gone(ctx, names[:len(names)/2], page)
	if err != nil {
		return nil, err
	}
	second, err := d.gone(ctx, names[len(names)/2:], page)
	return append(first, second...), err
}

func (d Directory) get(ctx context.Context, names []string) (err error) {
	ids, _ := resource.Organization(names[0])
	parent := "organizations/" + ids
	switch {
	case strings.HasPrefix(names[0], parent+"/staff/"):
		_, err = d.Staff.BatchGetStaffMembers(ctx, &identityv1.BatchGetStaffMembersRequest{Parent: parent, Names: names})
	case strings.HasPrefix(names[0], parent+"/serviceAccounts/"):
		_, err = d.Programs.BatchGetServiceAccounts(ctx, &identityv1.BatchGetServiceAccountsRequest{Parent: parent, Names: names})
	default:
		_, err = d.Customers.BatchGetCustomers(ctx, &identityv1.BatchGetCustomersRequest{Parent: parent, Names: names})
	}
	return err
}
