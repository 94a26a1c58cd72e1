package api

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/organization"
)

// staff implements StaffService.
type staff struct{ *Centres }

// CreateStaffMember makes an account in state PENDING.
func (s staff) CreateStaffMember(ctx context.Context, req *identityv1.CreateStaffMemberRequest) (*identityv1.StaffMember, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.StaffMember, error) {
		id, err := tx.IDOr("staff_member_id", req.GetStaffMemberId())
		if err != nil {
			return nil, err
		}
		rec, err := s.Accounts.Create(tx, staffAccount(account.StaffPattern.Format(ids[0], id), req.GetStaffMember()), nil)
		if err != nil {
			return nil, err
		}
		return staffMember(rec), nil
	})
}

// GetStaffMember returns an account, also a deleted one.
func (s staff) GetStaffMember(ctx context.Context, req *identityv1.GetStaffMemberRequest) (out *identityv1.StaffMember, err error) {
	if _, err := account.StaffPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		rec, err := s.Accounts.Get(r, req.GetName())
		if err == nil {
			out = staffMember(rec)
		}
		return err
	})
	return out, err
}

// BatchGetStaffMembers returns accounts in the order asked, all or none.
func (s staff) BatchGetStaffMembers(ctx context.Context, req *identityv1.BatchGetStaffMembersRequest) (*identityv1.BatchGetStaffMembersResponse, error) {
	if err := CheckBelow(req.GetParent(), req.GetNames(), account.StaffPattern); err != nil {
		return nil, err
	}
	resp := &identityv1.BatchGetStaffMembersResponse{}
	err := s.Store.View(ctx, func(r kv.Reader) error {
		records, err := s.Accounts.GetMany(r, authn.Staff, req.GetNames())
		resp.StaffMembers = all(records, staffMember)
		return err
	})
	return resp, err
}

// ListStaffMembers returns a page of accounts, by name.
func (s staff) ListStaffMembers(ctx context.Context, req *identityv1.ListStaffMembersRequest) (*identityv1.ListStaffMembersResponse, error) {
	records, next, err := s.ListAccounts(ctx, authn.Staff, req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListStaffMembersResponse{StaffMembers: all(records, staffMember), NextPageToken: next}, nil
}

// UpdateStaffMember changes the masked fields.
func (s staff) UpdateStaffMember(ctx context.Context, req *identityv1.UpdateStaffMemberRequest) (*identityv1.StaffMember, error) {
	m := req.GetStaffMember()
	if _, err := account.StaffPattern.Parse("staff_member.name", m.GetName()); err != nil {
		return nil, err
	}
	fields, err := fieldmask.Paths(req.GetUpdateMask(), m, "display_name", "email", "language")
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.StaffMember, error) {
		rec, err := s.Accounts.Update(tx, staffAccount(m.GetName(), m), fields, m.GetEtag(), nil)
		if err != nil {
			return nil, err
		}
		return staffMember(rec), nil
	})
}

// DeleteStaffMember deletes the account softly.
func (s staff) DeleteStaffMember(ctx context.Context, req *identityv1.DeleteStaffMemberRequest) (*identityv1.StaffMember, error) {
	if _, err := account.StaffPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := NotOneself(ctx, req.GetName()); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.StaffMember, error) {
		rec, err := s.Accounts.Delete(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return staffMember(rec), nil
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

// UndeleteStaffMember brings a deleted account back. It has left its teams, and
// must not act before permission has heard that.
func (s staff) UndeleteStaffMember(ctx context.Context, req *identityv1.UndeleteStaffMemberRequest) (*identityv1.StaffMember, error) {
	if _, err := account.StaffPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.InStep(ctx); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.StaffMember, error) {
		rec, err := s.Accounts.Undelete(tx, req.GetName(), req.GetEtag(), nil)
		if err != nil {
			return nil, err
		}
		return staffMember(rec), nil
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

// DisableStaffMember suspends the account.
func (s staff) DisableStaffMember(ctx context.Context, req *identityv1.DisableStaffMemberRequest) (*identityv1.StaffMember, error) {
	if _, err := account.StaffPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := NotOneself(ctx, req.GetName()); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.StaffMember, error) {
		rec, err := s.Accounts.Disable(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return staffMember(rec), nil
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

// EnableStaffMember lifts a suspension.
func (s staff) EnableStaffMember(ctx context.Context, req *identityv1.EnableStaffMemberRequest) (*identityv1.StaffMember, error) {
	if _, err := account.StaffPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.StaffMember, error) {
		rec, err := s.Accounts.Enable(tx, req.GetName(), req.GetEtag(), nil)
		if err != nil {
			return nil, err
		}
		return staffMember(rec), nil
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}
