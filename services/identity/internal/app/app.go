// Package app keeps the apps that people of an organisation log in to with their
// account: the clients of OAuth 2.0 that somebody else wrote.
//
// What an app proves itself with is package clientkey's, and who let it in
// package session's; this package knows what an app is called, where it may send
// people and what it may ask for. An app is no account: it can do nothing but
// through the people who let it in.
package app

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of an app's name.
const Pattern = resource.Pattern("organizations/{organization}/oauthClients/{oauth_client}")

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
	return revise.View(rec), err
}

// List returns a page of an organisation's apps, by name, and where to go on
// behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.OAuthClient, []byte, error) {
	return revise.Views(b.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}))
}

// Create makes an app with the name and the caller's fields of a. Errors are
// NotFound (ORGANIZATION_NOT_FOUND), Exists (OAUTH_CLIENT_EXISTS) and Invalid
// (REDIRECT_URI_INVALID).
func (b *Book) Create(tx *change.Tx, a *identityv1.OAuthClient) (*identityv1.OAuthClient, error) {
	if _, err := b.organizations.Get(tx, resource.Parent(a.GetName())); err != nil {
		return nil, err
	}
	return revise.Create(tx, b.table, a, rules())
}

// Update changes the masked fields to those of a. Errors are NotFound
// (OAUTH_CLIENT_NOT_FOUND), Conflict (ETAG_MISMATCH), and Invalid
// (UPDATE_MASK_INVALID, REDIRECT_URI_INVALID).
func (b *Book) Update(tx *change.Tx, a *identityv1.OAuthClient, mask *fieldmaskpb.FieldMask) (*identityv1.OAuthClient, error) {
	return revise.Update(tx, b.table, a, mask, rules())
}

// Delete removes an app with its keys, and returns what it was. Errors are
// NotFound (OAUTH_CLIENT_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.OAuthClient, error) {
	was, err := revise.Delete(tx, b.table, key(name), etag, rules())
	if err != nil {
		return nil, err
	}
	_, err = b.keys.RevokeAll(tx, name)
	return was, err
}

func rules() revise.Rules[*identityv1.OAuthClient] {
	return revise.Rules[*identityv1.OAuthClient]{
		Event:  "guildhall.identity.oauth_client",
		Fields: []string{"display_name", "redirect_uris", "scopes", "disabled"},
		Fixed:  []string{"type"},
		Follow: func(_, now *identityv1.OAuthClient) error { return checkRedirects(now) },
	}
}
