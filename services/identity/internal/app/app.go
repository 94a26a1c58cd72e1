// Package app keeps the apps that people of an organisation log in to with their
// account: the clients of OAuth 2.0 that somebody else wrote.
//
// What an app proves itself with is package clientkey's, and who let it in
// package session's; this package knows what an app is called, where it may send
// people and what it may ask for. An app is no account: it can do nothing but
// through the people who let it in.
package app

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/organization"
)

// Pattern is the form of an app's name.
const Pattern = resource.Pattern("organizations/{organization}/oauthClients/{oauth_client}")

// Types of events about apps.
const (
	CreatedType = "guildhall.identity.oauth_client.created.v1"
	UpdatedType = "guildhall.identity.oauth_client.updated.v1"
	DeletedType = "guildhall.identity.oauth_client.deleted.v1"
)

const notFound = "OAUTH_CLIENT_NOT_FOUND"

// Book keeps the apps. It is safe for concurrent use.
type Book struct {
	table         *kv.Table[*identityv1.OAuthClient]
	organizations *organization.Book
	keys          *clientkey.Book
}

// New returns a book. The keys are those that an app's deletion ends.
func New(organizations *organization.Book, keys *clientkey.Book) *Book {
	return &Book{
		organizations: organizations, keys: keys,
		table: kv.NewTable(kv.TableConfig[*identityv1.OAuthClient]{
			Name: "oauth_clients", NotFound: notFound, Exists: "OAUTH_CLIENT_EXISTS",
			Key: func(a *identityv1.OAuthClient) kv.Key { return key(a.GetName()) },
		}),
	}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// Get returns an app. The error is NotFound (OAUTH_CLIENT_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.OAuthClient, error) {
	rec, found, err := b.table.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	if err != nil {
		return nil, err
	}
	return view(rec), nil
}

// List returns a page of an organisation's apps, by name, and where to go on
// behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.OAuthClient, []byte, error) {
	page, err := b.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	out := make([]*identityv1.OAuthClient, len(page.Records))
	for i, rec := range page.Records {
		out[i] = view(rec)
	}
	return out, page.Next, err
}

// Create makes an app under the name with the caller's fields of a, and records
// it. Errors are NotFound (ORGANIZATION_NOT_FOUND), Exists (OAUTH_CLIENT_EXISTS)
// and Invalid (REDIRECT_URI_INVALID).
func (b *Book) Create(tx *change.Tx, name string, a *identityv1.OAuthClient) (*identityv1.OAuthClient, error) {
	if _, err := b.organizations.Get(tx, resource.Parent(name)); err != nil {
		return nil, err
	}
	made := proto.CloneOf(a)
	made.Name, made.Etag = name, ""
	made.CreateTime, made.UpdateTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	if err := checkRedirects(made); err != nil {
		return nil, err
	}
	rec, err := b.table.Create(tx, made)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: CreatedType, ChangedFields: change.ChangedFields(nil, made)})
	return view(rec), nil
}

// Update changes the masked fields to those of a, and records it if that changed
// anything. Errors are NotFound (OAUTH_CLIENT_NOT_FOUND), Conflict
// (ETAG_MISMATCH), and Invalid (UPDATE_MASK_INVALID, REDIRECT_URI_INVALID).
func (b *Book) Update(tx *change.Tx, a *identityv1.OAuthClient, mask *fieldmaskpb.FieldMask) (*identityv1.OAuthClient, error) {
	paths, err := fieldmask.Paths(mask, a, "display_name", "redirect_uris", "scopes", "disabled")
	if err != nil {
		return nil, err
	}
	old, err := b.table.Get(tx, key(a.GetName()))
	if err != nil {
		return nil, err
	}
	if err := old.CheckEtag(a.GetEtag()); err != nil {
		return nil, err
	}
	now := proto.CloneOf(old.Value)
	fieldmask.Apply(now, a, paths)
	if err := checkRedirects(now); err != nil {
		return nil, err
	}
	changed := change.ChangedFields(old.Value, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return view(old), nil
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	rec, err := b.table.Update(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: now.GetName(), Type: UpdatedType, ChangedFields: changed})
	return view(rec), nil
}

// Delete removes an app with its keys, records it, and returns what it was.
// Errors are NotFound (OAUTH_CLIENT_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.OAuthClient, error) {
	rec, err := b.table.Delete(tx, key(name), etag)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: DeletedType})
	_, err = b.keys.RevokeAll(tx, name)
	return view(rec), err
}

func view(rec kv.Record[*identityv1.OAuthClient]) *identityv1.OAuthClient {
	a := proto.CloneOf(rec.Value)
	a.Etag = rec.Etag
	return a
}
