// Package kvopen opens the kv.Store that a URL names. It exists so that
// package kv, which everything imports, imports no database driver.
package kvopen

import (
	"context"
	"net/url"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/bolt"
	"guildhall.dev/pkg/kv/postgres"
)

// Options are kv.Options under a name that reads well beside Open.
type Options = kv.Options

// Open opens the store at rawURL:
//
//	bolt:///var/lib/guildhall    the file <o.Name>.db in this folder
//	postgres://user:password@host:5432/database?sslmode=verify-full
//
// What is missing of folder, file, schema and tables is created. Errors say
// what an operator can do; their reasons are listed in package kv. They never
// hold the URL's password.
func Open(ctx context.Context, rawURL string, o Options) (kv.Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, badURL() // err quotes the URL, password and all
	}
	switch u.Scheme {
	case "bolt":
		if u.Host != "" || u.Path == "" || u.Path == "/" || u.RawQuery != "" {
			return nil, badURL()
		}
		s, err := bolt.Open(ctx, u.Path, o)
		if err != nil {
			return nil, err // not s: a nil *bolt.Store is no nil kv.Store
		}
		return s, nil
	case "postgres", "postgresql":
		s, err := postgres.Open(ctx, rawURL, o)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, badURL()
}

func badURL() error {
	return errs.New(errs.Invalid, kv.ReasonURL,
		"the store's URL cannot be used: write bolt:///absolute/folder or postgres://user:password@host:5432/database")
}
