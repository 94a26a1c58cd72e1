package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/segment"
)

// customers implements CustomerService.
type customers struct{ *Centres }

// CreateCustomer makes an account in state PENDING.
func (s customers) CreateCustomer(ctx context.Context, req *identityv1.CreateCustomerRequest) (*identityv1.Customer, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return s.change(ctx, req, func(tx *change.Tx, permit segment.Permit) (kv.Record[*storev1.Account], error) {
		id, err := tx.IDOr("customer_id", req.GetCustomerId())
		if err != nil {
			return kv.Record[*storev1.Account]{}, err
		}
		return s.Accounts.Create(tx, customerAccount(account.CustomerPattern.Format(ids[0], id), req.GetCustomer()), permit)
	})
}

// GetCustomer returns an account, also a deleted one. Of one that was merged it tells
// into which, to who may see that.
func (s customers) GetCustomer(ctx context.Context, req *identityv1.GetCustomerRequest) (out *identityv1.Customer, err error) {
	if _, err := account.CustomerPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		rec, err := s.Accounts.Get(r, req.GetName())
		if err == nil {
			out = Customer(rec)
		}
		return err
	})
	if errs.ReasonOf(err) == merged {
		err = s.lead(ctx, req.GetName(), err)
	}
	return out, err
}

// merged is the reason for who asks for a customer that was merged into another.
const merged = "CUSTOMER_MERGED"

// lead adds the name of the survivor to the refusal of a customer that was merged into
// it, for who may see the survivor.
func (s customers) lead(ctx context.Context, name string, refusal error) error {
	var survivor string
	if err := s.Store.View(ctx, func(r kv.Reader) error {
		rec, _, err := s.Accounts.Find(r, name)
		survivor = rec.Value.GetMergedInto()
		return err
	}); err != nil || survivor == "" {
		return refusal
	}
	seen, err := s.Seen(ctx, "identity.customers.get", []string{survivor})
	if _, ok := seen[survivor]; err != nil || !ok {
		return refusal
	}
	return errs.New(errs.NotFound, merged, "the customer was merged into another account; ask for that one", errs.Meta("survivor", survivor))
}

// BatchGetCustomers returns accounts in the order asked, all or none.
func (s customers) BatchGetCustomers(ctx context.Context, req *identityv1.BatchGetCustomersRequest) (*identityv1.BatchGetCustomersResponse, error) {
	if err := CheckBelow(req.GetParent(), req.GetNames(), account.CustomerPattern); err != nil {
		return nil, err
	}
	resp := &identityv1.BatchGetCustomersResponse{}
	err := s.Store.View(ctx, func(r kv.Reader) error {
		records, err := s.Accounts.GetMany(r, authn.Customer, req.GetNames())
		resp.Customers = all(records, Customer)
		return err
	})
	return resp, err
}

// ListCustomers returns a page of accounts, by name.
func (s customers) ListCustomers(ctx context.Context, req *identityv1.ListCustomersRequest) (*identityv1.ListCustomersResponse, error) {
	records, next, err := s.ListAccounts(ctx, authn.Customer, req)
	if err != nil {
		return nil, err
	}
	return &identityv1.ListCustomersResponse{Customers: all(records, Customer), NextPageToken: next}, nil
}

// UpdateCustomer changes the masked fields.
func (s customers) UpdateCustomer(ctx context.Context, req *identityv1.UpdateCustomerRequest) (*identityv1.Customer, error) {
	c := req.GetCustomer()
	if _, err := account.CustomerPattern.Parse("customer.name", c.GetName()); err != nil {
		return nil, err
	}
	fields, err := fieldmask.Paths(req.GetUpdateMask(), c, "display_name", "email", "phone", "external_id", "country", "language", "tags", "attributes")
	if err != nil {
		return nil, err
	}
	return s.change(ctx, req, func(tx *change.Tx, permit segment.Permit) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Update(tx, customerAccount(c.GetName(), c), fields, c.GetEtag(), permit)
	})
}

// ClassifyCustomer changes tags and attributes one by one.
func (s customers) ClassifyCustomer(ctx context.Context, req *identityv1.ClassifyCustomerRequest) (*identityv1.Customer, error) {
	if _, err := account.CustomerPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return s.change(ctx, req, func(tx *change.Tx, permit segment.Permit) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Classify(tx, req.GetName(), req.GetEtag(), account.Classes{
			Add: req.GetAddTags(), Remove: req.GetRemoveTags(), Set: req.GetSetAttributes(), Clear: req.GetClearAttributes(),
		}, permit)
	})
}

// change makes a change of a customer by which it may move between segments, and
// waits until permission has heard of that.
func (s customers) change(ctx context.Context, req proto.Message, make func(*change.Tx, segment.Permit) (kv.Record[*storev1.Account], error)) (*identityv1.Customer, error) {
	resp, moved, err := Permitted(ctx, s.Centres, req, func(tx *change.Tx, permit segment.Permit) (*identityv1.Customer, error) {
		rec, err := make(tx, permit)
		if err != nil {
			return nil, err
		}
		return Customer(rec), nil
	})
	if !moved {
		return resp, err
	}
	return Heard(ctx, s.Centres, resp, err)
}

// DeleteCustomer deletes the account softly.
func (s customers) DeleteCustomer(ctx context.Context, req *identityv1.DeleteCustomerRequest) (*identityv1.Customer, error) {
	if _, err := account.CustomerPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := NotOneself(ctx, req.GetName()); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Customer, error) {
		rec, err := s.Accounts.Delete(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return Customer(rec), nil
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

// UndeleteCustomer brings a deleted account back. It has left its segments, and
// must not act before permission has heard that.
func (s customers) UndeleteCustomer(ctx context.Context, req *identityv1.UndeleteCustomerRequest) (*identityv1.Customer, error) {
	if _, err := account.CustomerPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.InStep(ctx); err != nil {
		return nil, err
	}
	resp, err := s.change(ctx, req, func(tx *change.Tx, permit segment.Permit) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Undelete(tx, req.GetName(), req.GetEtag(), permit)
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

// DisableCustomer suspends the account.
func (s customers) DisableCustomer(ctx context.Context, req *identityv1.DisableCustomerRequest) (*identityv1.Customer, error) {
	if _, err := account.CustomerPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := NotOneself(ctx, req.GetName()); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Customer, error) {
		rec, err := s.Accounts.Disable(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return Customer(rec), nil
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}

// EnableCustomer lifts a suspension. What segments the customer left when it was
// suspended is nothing it may act by from now on.
func (s customers) EnableCustomer(ctx context.Context, req *identityv1.EnableCustomerRequest) (*identityv1.Customer, error) {
	if _, err := account.CustomerPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.InStep(ctx); err != nil {
		return nil, err
	}
	resp, err := s.change(ctx, req, func(tx *change.Tx, permit segment.Permit) (kv.Record[*storev1.Account], error) {
		return s.Accounts.Enable(tx, req.GetName(), req.GetEtag(), permit)
	})
	return Everywhere(ctx, s.Centres, req.GetName(), resp, err)
}
