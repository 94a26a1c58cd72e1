package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/organization"
)

// organizations implements OrganizationService.
type organizations struct{ *Centres }

// CreateOrganization makes an organisation, its administrator and the
// administrator's invitation, or none of them.
func (s organizations) CreateOrganization(ctx context.Context, req *identityv1.CreateOrganizationRequest) (*identityv1.CreateOrganizationResponse, error) {
	code := credential.NewCode()
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.CreateOrganizationResponse, error) {
		id, err := tx.IDOr("organization_id", req.GetOrganizationId())
		if err != nil {
			return nil, err
		}
		adminID, err := tx.IDOr("administrator_id", req.GetAdministratorId())
		if err != nil {
			return nil, err
		}
		made := proto.CloneOf(req.GetOrganization())
		made.Name = organization.Pattern.Format(id)
		name := account.StaffPattern.Format(id, adminID)
		org, err := s.Organizations.Create(tx, made, name, false)
		if err != nil {
			return nil, err
		}
		admin, err := s.Accounts.Create(tx, staffAccount(name, req.GetAdministrator()), nil)
		if err != nil {
			return nil, err
		}
		invitation, err := s.Gate.Invite(tx, name, code)
		return &identityv1.CreateOrganizationResponse{
			Organization: org, Administrator: staffMember(admin), Invitation: invitation,
		}, err
	})
}

// GetOrganization returns an organisation.
func (s organizations) GetOrganization(ctx context.Context, req *identityv1.GetOrganizationRequest) (*identityv1.Organization, error) {
	if _, err := organization.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Organization, error) { return s.Organizations.Get(r, req.GetName()) })
}

// ListOrganizations returns a page of all organisations.
func (s organizations) ListOrganizations(ctx context.Context, req *identityv1.ListOrganizationsRequest) (*identityv1.ListOrganizationsResponse, error) {
	l, err := s.start(ctx, page.Request{Size: req.GetPageSize(), Token: req.GetPageToken()}, "ListOrganizations")
	if err != nil {
		return nil, err
	}
	resp := &identityv1.ListOrganizationsResponse{}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		found, next, err := s.Organizations.List(r, l.after, l.limit)
		resp.Organizations, resp.NextPageToken = found, l.next(next)
		return err
	})
	return resp, err
}

// UpdateOrganization changes the masked fields.
func (s organizations) UpdateOrganization(ctx context.Context, req *identityv1.UpdateOrganizationRequest) (*identityv1.Organization, error) {
	if _, err := organization.Pattern.Parse("organization.name", req.GetOrganization().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Organization, error) {
		return s.Organizations.Update(tx, req.GetOrganization(), req.GetUpdateMask())
	})
}
