package authzen

import (
	"context"
	"sync"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// How long the types of an organisation are remembered, and how soon they are
// read again for one that is not among them. A type keeps its collection, and
// which permissions there are is for Check to say, so an old answer can only
// turn into a denial.
const (
	typesGood    = time.Minute
	typesUnknown = time.Second
)

// types are the resource types that organisations have declared. It remembers
// what it read for one caller for all of an organisation: which collection a
// type has is no secret there. It is safe for concurrent use.
type types struct {
	client permissionv1.ResourceTypeServiceClient
	now    func() time.Time

	mu    sync.Mutex
	known map[string]declared // by organisation
}

type declared struct {
	read  time.Time
	kinds map[string]*kind // by type
}

func newTypes(client permissionv1.ResourceTypeServiceClient) *types {
	return &types{client: client, now: time.Now, known: map[string]declared{}}
}

// find returns a type of an organisation, nil when it has none of that name.
// The errors are those of ListResourceTypes.
func (t *types) find(ctx context.Context, organization, name string) (*kind, error) {
	t.mu.Lock()
	d := t.known[organization]
	t.mu.Unlock()
	age := t.now().Sub(d.read)
	if k := d.kinds[name]; k != nil && age < typesGood || k == nil && age < typesUnknown {
		return k, nil
	}
	// Several callers may read at the same time; each is right.
	d = declared{read: t.now()}
	var err error
	if d.kinds, err = t.read(ctx, organization); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	t.known[organization] = d
	return d.kinds[name], nil
}

// maxOrganizations bounds what is remembered.
const maxOrganizations = 10_000

// forget makes room. That is rare, and what is forgotten is quickly read.
func (t *types) forget() {
	if len(t.known) >= maxOrganizations {
		clear(t.known)
	}
}

func (t *types) read(ctx context.Context, organization string) (map[string]*kind, error) {
	kinds := map[string]*kind{}
	for token := ""; ; {
		page, err := t.client.ListResourceTypes(ctx, &permissionv1.ListResourceTypesRequest{Parent: organization, PageSize: 1000, PageToken: token})
		if err != nil {
			return nil, err
		}
		for _, declared := range page.GetResourceTypes() {
			id := declared.GetName()[len(organization+"/resourceTypes/"):]
			kinds[id] = &kind{top: declared.GetCollection(), collection: declared.GetCollection()}
		}
		if token = page.GetNextPageToken(); token == "" {
			return kinds, nil
		}
	}
}
