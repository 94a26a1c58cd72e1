package clients

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	book "guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/app"
	"guildhall.dev/services/identity/internal/clientkey"
)

// keys implements ClientKeyService.
type keys struct{ *api.Centres }

// CreateClientKey makes a key. Whoever has it can be the account.
func (s keys) CreateClientKey(ctx context.Context, req *identityv1.CreateClientKeyRequest) (*identityv1.ClientKey, error) {
	client := req.GetParent()
	if err := s.mayBe(ctx, client); err != nil {
		return nil, err
	}
	return s.create(ctx, client, req, func(tx *change.Tx, secret string) (*storev1.ClientKey, error) {
		id, err := tx.IDOr("client_key_id", req.GetClientKeyId())
		if err != nil {
			return nil, err
		}
		return s.ClientKeys.Create(tx, client, id, secret, req.GetClientKey())
	})
}

// RotateClientKey makes a key in place of another.
func (s keys) RotateClientKey(ctx context.Context, req *identityv1.RotateClientKeyRequest) (*identityv1.ClientKey, error) {
	if err := clientkey.CheckName("name", req.GetName()); err != nil {
		return nil, err
	}
	client := clientkey.ClientOf(req.GetName())
	if err := s.mayBe(ctx, client); err != nil {
		return nil, err
	}
	overlap := clientkey.DefaultOverlap
	if o := req.GetOverlap(); o != nil {
		overlap = o.AsDuration()
	}
	return s.create(ctx, client, req, func(tx *change.Tx, secret string) (*storev1.ClientKey, error) {
		id, err := tx.IDOr("client_key_id", req.GetClientKeyId())
		if err != nil {
			return nil, err
		}
		return s.ClientKeys.Rotate(tx, req.GetName(), id, secret, req.GetClientKey(), overlap)
	})
}

// mayBe refuses keys of what has none, and of an account that holds more than
// the caller does.
func (s keys) mayBe(ctx context.Context, client string) error {
	switch {
	case book.ServicePattern.Matches(client):
		return s.Covers(ctx, client)
	case app.Pattern.Matches(client):
		return nil // it can do nothing of its own
	default:
		return notClient("parent")
	}
}

// create makes a key of a client that can have one, with a secret that is made
// outside of the transaction: that may run more than once.
func (s keys) create(ctx context.Context, client string, req proto.Message, make func(tx *change.Tx, secret string) (*storev1.ClientKey, error)) (*identityv1.ClientKey, error) {
	secret := clientkey.NewSecret()
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ClientKey, error) {
		if err := s.canHaveKeys(tx, client); err != nil {
			return nil, err
		}
		k, err := make(tx, secret)
		if err != nil {
			return nil, err
		}
		return key(k, secret), nil
	})
}

// canHaveKeys returns NotFound for a client that is not there, and Precondition
// for a deleted account (ILLEGAL_STATE) and a public app (CLIENT_IS_PUBLIC).
func (s keys) canHaveKeys(r kv.Reader, client string) error {
	if app.Pattern.Matches(client) {
		a, err := s.Apps.Get(r, client)
		if err == nil && a.GetType() == identityv1.OAuthClient_TYPE_PUBLIC {
			err = errs.New(errs.Precondition, "CLIENT_IS_PUBLIC", "a public app could not keep a key; it has none")
		}
		return err
	}
	rec, err := s.Accounts.Get(r, client)
	if err == nil && rec.Value.GetState() == identityv1.AccountState_ACCOUNT_STATE_DELETED {
		err = errs.New(errs.Precondition, "ILLEGAL_STATE", "the account is deleted; undelete it first")
	}
	return err
}

// GetClientKey returns a key.
func (s keys) GetClientKey(ctx context.Context, req *identityv1.GetClientKeyRequest) (out *identityv1.ClientKey, err error) {
	if err := clientkey.CheckName("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		k, err := s.ClientKeys.Get(r, req.GetName())
		if err == nil {
			out = key(k, "")
		}
		return err
	})
	return out, err
}

// ListClientKeys returns a page of a client's keys, by name.
func (s keys) ListClientKeys(ctx context.Context, req *identityv1.ListClientKeysRequest) (*identityv1.ListClientKeysResponse, error) {
	if !book.ServicePattern.Matches(req.GetParent()) && !app.Pattern.Matches(req.GetParent()) {
		return nil, notClient("parent")
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListClientKeys",
		func(r kv.Reader, after []byte, limit int) ([]*storev1.ClientKey, []byte, error) {
			return s.ClientKeys.List(r, req.GetParent(), after, limit)
		})
	resp := &identityv1.ListClientKeysResponse{NextPageToken: next}
	for _, k := range found {
		resp.ClientKeys = append(resp.ClientKeys, key(k, ""))
	}
	return resp, err
}

// RevokeClientKey ends a key and the tokens that were had for it.
func (s keys) RevokeClientKey(ctx context.Context, req *identityv1.RevokeClientKeyRequest) (*identityv1.ClientKey, error) {
	if err := clientkey.CheckName("name", req.GetName()); err != nil {
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ClientKey, error) {
		k, err := s.ClientKeys.Revoke(tx, req.GetName())
		if err != nil {
			return nil, err
		}
		return key(k, ""), nil
	})
	return api.Everywhere(ctx, s.Centres, clientkey.ClientOf(req.GetName()), resp, err)
}

func notClient(field string) error {
	return errs.InvalidField(field, resource.Reason, "send the name of a service account or an app, as in organizations/acme/serviceAccounts/ci")
}
