package request

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/sweep"
)

const collection = "/permissionChangeRequests/"

// Indexes of the table of requests.
//
//	change_requests        name -> PermissionChangeRequest (without etag)
//	change_requests__list  organisation or requester, subject or "", state or "", create time
//	change_requests__due   stage deadline
const (
	byList = "list"
	byDue  = "due"
)

// New returns the requests that the store holds.
func New(cfg Config) *Requests {
	return &Requests{Config: cfg, table: kv.NewTable(kv.TableConfig[*permissionv1.PermissionChangeRequest]{
		Name:     "change_requests",
		Key:      func(v *permissionv1.PermissionChangeRequest) kv.Key { return keyOf(v.GetName()) },
		NotFound: "CHANGE_REQUEST_NOT_FOUND", Exists: "CHANGE_REQUEST_EXISTS",
		Indexes: []kv.Index[*permissionv1.PermissionChangeRequest]{
			{Name: byList, Keys: listKeys},
			{Name: byDue, Keys: func(v *permissionv1.PermissionChangeRequest) []kv.Key {
				if v.GetStageDeadline() == nil {
					return nil
				}
				return []kv.Key{{kv.Time(v.GetStageDeadline().AsTime())}}
			}},
		},
	})}
}

func listKeys(v *permissionv1.PermissionChangeRequest) []kv.Key {
	var keys []kv.Key
	for _, owner := range []string{organizationOf(v.GetName()), Requester(v.GetName())} {
		for _, about := range []string{"", v.GetSubject()} {
			for _, state := range []string{"", Word(v.GetState())} {
				keys = append(keys, kv.Key{kv.String(owner), kv.String(about), kv.String(state), kv.Time(v.GetCreateTime().AsTime())})
			}
		}
	}
	return keys
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Requests) Tables() []string { return s.table.Tables() }

func keyOf(name string) kv.Key { return kv.Key{kv.String(name)} }

// CheckName returns nil for the name of a request, and else Invalid
// (RESOURCE_NAME_INVALID).
func CheckName(name string) error {
	account, id, ok := strings.Cut(name, collection)
	if ok && subject.IsAccount(account) && resource.ValidID(id) {
		return nil
	}
	return errs.InvalidField("name", resource.Reason, "send a name of the form organizations/acme/staff/s1/permissionChangeRequests/r1")
}

// Get returns a request, or NotFound (CHANGE_REQUEST_NOT_FOUND).
func (s *Requests) Get(r kv.Reader, name string) (*permissionv1.PermissionChangeRequest, error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// Filter selects requests: about a subject, in a state, or both. The zero
// Filter is all.
type Filter struct {
	Subject string
	State   permissionv1.PermissionChangeRequest_State
}

// List returns a page of the requests of an account, or of an organisation,
// newest first, and where the next one starts, nil at the end.
func (s *Requests) List(r kv.Reader, parent string, f Filter, after []byte, limit int) ([]*permissionv1.PermissionChangeRequest, []byte, error) {
	page, err := s.table.List(r, listQuery(parent, f, after, limit))
	if err != nil {
		return nil, nil, err
	}
	out := make([]*permissionv1.PermissionChangeRequest, len(page.Records))
	for i, rec := range page.Records {
		out[i] = shown(rec)
	}
	return out, page.Next, nil
}

func listQuery(parent string, f Filter, after []byte, limit int) kv.Query {
	state := ""
	if f.State != 0 {
		state = Word(f.State)
	}
	return kv.Query{
		Index: byList, Prefix: kv.Key{kv.String(parent), kv.String(f.Subject), kv.String(state)},
		Reverse: true, After: after, Limit: limit,
	}
}

// inboxReach is how many requests one page of an inbox looks at for each that
// it may hold.
const inboxReach = 4

// Inbox returns a page of what waits for a decision that the account may make:
// verified, not its own, not decided by it already, and open to it by policy.
// Whether it holds what would be given is left to Approve. The page is short,
// or empty with a next one, where most of what waits is for others.
func (s *Requests) Inbox(r kv.Reader, organization, account string, after []byte, limit int) ([]*permissionv1.PermissionChangeRequest, []byte, error) {
	page, err := s.table.List(r, listQuery(organization, Filter{State: verified}, after, limit*inboxReach))
	if err != nil {
		return nil, nil, err
	}
	var out []*permissionv1.PermissionChangeRequest
	for _, rec := range page.Records {
		p, err := s.policyOf(r, rec.Value)
		if err != nil {
			return nil, nil, err
		}
		err = s.mayDecide(r, rec.Value, p, account)
		if err != nil && errs.KindOf(err) == errs.Internal {
			return nil, nil, err
		}
		if err != nil {
			continue
		}
		out = append(out, shown(rec))
		if len(out) == limit {
			return out, rec.Position, nil
		}
	}
	return out, page.Next, nil
}

// Job expires requests whose stage is over.
func (s *Requests) Job() sweep.Job {
	return sweep.Job{
		Action: "permission.permissionChangeRequests.expire", Due: sweep.Due(s.table, byDue, (*permissionv1.PermissionChangeRequest).GetName),
		Do: func(tx *change.Tx, name string) (bool, error) { return false, s.Expire(tx, name) },
	}
}

func shown(rec kv.Record[*permissionv1.PermissionChangeRequest]) *permissionv1.PermissionChangeRequest {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}
