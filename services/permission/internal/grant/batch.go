package grant

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// Change is one change of a batch: a grant to make, or else the name of one to
// delete.
type Change struct {
	Create *permissionv1.Grant
	Delete string
	// Etag is the one that the grant to delete must have; "" checks nothing.
	Etag string
}

// ChangeAll makes and deletes grants of one organisation, in the order of the
// changes, and returns what each made or deleted. They are one revision: no
// check sees some of them.
//
// The rules of Create and Delete hold for each change, but that of posts holds
// for the whole: an administrator may be replaced in one batch. Errors are
// those of Create and Delete, with the change they are about as their field:
// changes[3].create.role. After an error the transaction must be given up.
func (s *Grants) ChangeAll(tx kv.Tx, at time.Time, organization string, changes []Change) ([]*permissionv1.Grant, revision.Revision, error) {
	changed := make([]*permissionv1.Grant, len(changes))
	var left []departure
	for i, c := range changes {
		var err error
		if c.Create != nil {
			changed[i], err = s.insert(tx, at, c.Create)
		} else {
			changed[i], err = s.remove(tx, at, c, i, &left)
		}
		if err != nil {
			return nil, revision.Revision{}, InChange(i, c, err)
		}
	}
	for _, d := range left {
		if err := s.checkPost(tx, at, organization, d.post, ""); err != nil {
			return nil, revision.Revision{}, InChange(d.index, changes[d.index], err)
		}
	}
	if err := s.keepPostsOfAll(tx, at, organization, changes, changed); err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := revision.Bump(tx, organization, at, touchedBy(changed...)...)
	return changed, v, err
}

// departure is a post that a change leaves, maybe to another change's grant.
type departure struct {
	post  post
	index int
}

// remove deletes the grant of a change, and notes the post that it filled.
func (s *Grants) remove(tx kv.Tx, at time.Time, c Change, index int, left *[]departure) (*permissionv1.Grant, error) {
	rec, err := s.removable(tx, c.Delete, c.Etag)
	if err != nil {
		return nil, err
	}
	p, fills, err := s.filledBy(tx, at, rec.Value)
	if err != nil {
		return nil, err
	}
	if fills {
		*left = append(*left, departure{p, index})
	}
	if _, err := s.table.Delete(tx, keyOf(c.Delete), ""); err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// keepPostsOfAll is keepPosts for the grants that the changes made.
func (s *Grants) keepPostsOfAll(r kv.Reader, at time.Time, organization string, changes []Change, changed []*permissionv1.Grant) error {
	var denying []*permissionv1.Grant
	first := 0
	for i, g := range changed {
		if changes[i].Create == nil || !Denies(g) {
			continue
		}
		if denying == nil {
			first = i
		}
		denying = append(denying, g)
	}
	if err := s.keepPosts(r, at, organization, denying...); err != nil {
		return InChange(first, changes[first], err)
	}
	return nil
}

// touchedBy returns the names under which the grants are kept for checks, each
// once, in order: their subjects. Grants to holders are kept together, because
// who they reach is found from the resource that is asked about.
func touchedBy(grants ...*permissionv1.Grant) []string {
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = g.GetSubject()
		if _, _, ok := subject.ParseHolders(names[i]); ok {
			names[i] = subject.AllHolders(organizationOf(g.GetName()))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// InChange returns the error of a change with the change's field in place of
// the fields of a single request. Faults of the store, which are no fault of
// the change, come back as they are.
func InChange(index int, c Change, err error) error {
	e := errs.From(err)
	if e.Kind == errs.Internal || strings.HasPrefix(e.Reason, "STORE_") {
		return err
	}
	part := fmt.Sprintf("changes[%d].delete", index)
	if c.Create != nil {
		part = fmt.Sprintf("changes[%d].create", index)
	}
	named := *e
	named.Violations = nil
	for _, v := range e.Violations {
		v.Field = part + "." + v.Field
		named.Violations = append(named.Violations, v)
	}
	if len(named.Violations) == 0 {
		named.Violations = []errs.Violation{{Field: part, Reason: e.Reason, Description: e.Message}}
	}
	return &named
}

// Fact is what a grant says that gives without a condition, but for its name.
type Fact struct{ Subject, Role, Resource string }

// Has reports whether people gave a grant of the fact in the organisation.
// Those that a service keeps do not count.
func (s *Grants) Has(r kv.Reader, organization string, f Fact) (bool, error) {
	_, found, err := s.table.FindBy(r, byFact, kv.Key{
		kv.String(organization), kv.String(f.Subject), kv.String(f.Role), kv.String(f.Resource),
	})
	return found, err
}
