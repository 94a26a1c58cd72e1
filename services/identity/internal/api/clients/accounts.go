package clients

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	book "guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/organization"
)

// accounts implements ServiceAccountService.
type accounts struct{ *api.Centres }

// CreateServiceAccount makes an account in state ACTIVE.
func (s accounts) CreateServiceAccount(ctx context.Context, req *identityv1.CreateServiceAccountRequest) (*identityv1.ServiceAccount, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return s.change(ctx, req, func(tx *change.Tx) (kv.Record[*storev1.Account], error) {
		id, err := tx.IDOr("service_account_id", req.GetServiceAccountId())
		if err != nil {
			return kv.Record[*storev1.Account]{}, err
		}
		return s.Accounts.Create(tx, account(book.ServicePattern.Format(ids[0], id), req.GetServiceAccount()), nil)
	})
}

// GetServiceAccount returns an account, also a deleted one.
func (s accounts) GetServiceAccount(ctx context.Context, req *identityv1.GetServiceAccountRequest) (out *identityv1.ServiceAccount, err error) {
	if err := book.ServicePattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		rec, err := s.Accounts.Get(r, req.GetName())
		if err == nil {
			out = serviceAccount(rec)
		}
		return err
	})
	return out, err
}

// BatchGetServiceAccounts returns accounts in the order asked, all or none.
func (s accounts) BatchGetServiceAccounts(ctx context.Context, req *identityv1.BatchGetServiceAccountsRequest) (*identityv1.BatchGetServiceAccountsResponse, error) {
	for _, name := range req.GetNames() {
		if err := book.ServicePattern.Check("names", name); err != nil {
			return nil, err
		}
		if resource.Parent(name) != req.GetParent() {
			return nil, errs.InvalidField("names", "PARENT_MISMATCH", "name resources below the parent of the request")
		}
	}
	resp := &identityv1.BatchGetServiceAccountsResponse{}
	err := s.Store.View(ctx, func(r kv.Reader) error {
		records, err := s.Accounts.GetMany(r, authn.ServiceAccount, req.GetNames())
		resp.ServiceAccounts = views(records)
		return err
	})
	return resp, err
}

// ListServiceAccounts returns a page of accounts, by name.
func (s accounts) ListServiceAccounts(ctx context.Context, req *identityv1.ListServiceAccountsRequest) (*identityv1.ListServiceAccountsResponse, error) {
	records, next, err := s.ListAccounts(ctx, authn.ServiceAccount, req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListServiceAccountsResponse{ServiceAccounts: views(records), NextPageToken: next}, nil
}

func views(records []kv.Record[*storev1.Account]) []*identityv1.ServiceAccount {
	out := make([]*identityv1.ServiceAccount, len(records))
	for i, rec := range records {
		out[i] = serviceAccount(rec)
	}
	return out
}

// UpdateServiceAccount changes the masked fields.
func (s accounts) UpdateServiceAccount(ctx context.Context, req *identityv1.UpdateServiceAccountRequest) (*identityv1.ServiceAccount, error) {
	a := req.GetServiceAccount()
	if err := book.ServicePattern.Check("service_account.name", a.GetName()); err != nil {
		return nil, err
	}
	fields, err := fieldmask.Paths(req.GetUpdateMask(), a, "display_name", "description")
	if err != nil {
		return nil, err
	}
	return s.change(ctx, req, func(tx *change.Tx) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Update(tx, account(a.GetName(), a), fields, a.GetEtag(), nil)
	})
}

// DeleteServiceAccount deletes the account softly, and its keys for good.
func (s accounts) DeleteServiceAccount(ctx context.Context, req *identityv1.DeleteServiceAccountRequest) (*identityv1.ServiceAccount, error) {
	if err := api.NotOneself(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return s.move(ctx, req, s.Accounts.Delete)
}

// UndeleteServiceAccount brings a deleted account back.
func (s accounts) UndeleteServiceAccount(ctx context.Context, req *identityv1.UndeleteServiceAccountRequest) (*identityv1.ServiceAccount, error) {
	return s.move(ctx, req, func(tx *change.Tx, name, etag string) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Undelete(tx, name, etag, nil)
	})
}

// DisableServiceAccount suspends the account.
func (s accounts) DisableServiceAccount(ctx context.Context, req *identityv1.DisableServiceAccountRequest) (*identityv1.ServiceAccount, error) {
	if err := api.NotOneself(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return s.move(ctx, req, s.Accounts.Disable)
}

// EnableServiceAccount lifts a suspension.
func (s accounts) EnableServiceAccount(ctx context.Context, req *identityv1.EnableServiceAccountRequest) (*identityv1.ServiceAccount, error) {
	return s.move(ctx, req, func(tx *change.Tx, name, etag string) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Enable(tx, name, etag, nil)
	})
}

// moving is a request to change the state of an account.
type moving interface {
	proto.Message
	GetName() string
	GetEtag() string
}

// move changes the state of an account, and returns when permission has it.
func (s accounts) move(ctx context.Context, req moving, to func(tx *change.Tx, name, etag string) (kv.Record[*storev1.Account], error)) (*identityv1.ServiceAccount, error) {
	if err := book.ServicePattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	resp, err := s.change(ctx, req, func(tx *change.Tx) (kv.Record[*storev1.Account], error) {
		return to(tx, req.GetName(), req.GetEtag())
	})
	return api.Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

func (s accounts) change(ctx context.Context, req proto.Message, make func(tx *change.Tx) (kv.Record[*storev1.Account], error)) (*identityv1.ServiceAccount, error) {
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ServiceAccount, error) {
		rec, err := make(tx)
		if err != nil {
			return nil, err
		}
		return serviceAccount(rec), nil
	})
}
