package request

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/sweep"
)

// patterns are the forms of the names of requests.
func patterns() []resource.Pattern { return subject.OfAccounts("permissionChangeRequests") }

// Indexes of the table of requests.
//
//	change_requests        requester, id -> PermissionChangeRequest (without etag)
//	change_requests__list  organisation or requester, subject or "", state or "", create time
//	change_requests__due   stage deadline
const (
	byList = "list"
	byDue  = "due"
)

// New returns the requests that the store holds.
func New(cfg Config) *Requests {
	return &Requests{Config: cfg, shelf: shelf.New(shelf.Config[*permissionv1.PermissionChangeRequest]{
		Noun: "change_request", Table: "change_requests", Names: patterns(),
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
func (s *Requests) Tables() []string { return s.shelf.Tables() }

// CheckName returns nil for the name of a request, and else Invalid
// (RESOURCE_NAME_INVALID).
func CheckName(name string) error {
	for _, p := range patterns() {
		if p.Matches(name) {
			return nil
		}
	}
	return errs.InvalidField("name", resource.Reason, "send a name of the form organizations/acme/staff/s1/permissionChangeRequests/r1")
}

// Get returns a request, or NotFound (CHANGE_REQUEST_NOT_FOUND).
func (s *Requests) Get(r kv.Reader, name string) (*permissionv1.PermissionChangeRequest, error) {
	return s.shelf.Get(r, name)
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
	return s.shelf.List(r, shelf.Page(listQuery(parent, f), after, limit))
}

func listQuery(parent string, f Filter) kv.Query {
	state := ""
	if f.State != 0 {
		state = Word(f.State)
	}
	return kv.Query{
		Index: byList, Prefix: kv.Key{kv.String(parent), kv.String(f.Subject), kv.String(state)},
		Reverse: true,
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
	waiting := shelf.Page(listQuery(organization, Filter{State: verified}), after, limit*inboxReach+1)
	var out []*permissionv1.PermissionChangeRequest
	var last []byte
	seen := 0
	for rec, err := range s.shelf.Scan(r, waiting) {
		if err != nil {
			return nil, nil, err
		}
		if seen == limit*inboxReach || len(out) == limit {
			return out, last, nil
		}
		p, err := s.policyOf(r, rec.Value)
		if err != nil {
			return nil, nil, err
		}
		err = s.mayDecide(r, rec.Value, p, account)
		if err != nil && errs.KindOf(err) == errs.Internal {
			return nil, nil, err
		}
		if err == nil {
			out = append(out, shelf.Shown(rec))
		}
		seen, last = seen+1, rec.Position
	}
	return out, nil, nil
}

// Job expires requests whose stage is over.
func (s *Requests) Job() sweep.Job {
	return sweep.Job{
		Action: "permission.permissionChangeRequests.expire", Due: s.shelf.Due(byDue),
		Do: func(tx *change.Tx, name string) (bool, error) { return false, s.Expire(tx, name) },
	}
}
