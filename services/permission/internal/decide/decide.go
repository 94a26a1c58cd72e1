// Package decide answers whether a subject may do something.
//
// It knows grants in a compiled form that answers with a few look-ups,
// whatever their number: one for each level of the resource's name, for the
// account itself, for each of its teams and for its class. Nothing that was
// decided is kept; what is kept, by package cache, is what decisions are made
// of.
//
// The rules:
//
//   - What no grant allows is denied.
//   - A grant on a name covers all names below it.
//   - Every account holds roles/self on its own name.
//   - An account that is suspended or deleted may do nothing at all, and nobody
//     may do anything in a session that has ended. A question without a
//     permission and a resource asks for just that.
//   - From the second of its expiry on, a grant allows nothing.
//   - "-" as the last segment of the resource asks about the parent of the
//     collection before it.
package decide

import (
	"strings"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
)

// Question is one question about one organisation.
type Question struct {
	Subject, Permission, Resource string
	// Session is the id of the session that the subject acts in; "" asks about
	// the subject alone.
	Session string
	// Attributes are what conditions look at; nil when nothing is known.
	Attributes *permissionv1.Attributes
}

// Answer is the answer to a Question; the zero Answer is no.
type Answer struct {
	Allowed bool
	// Grant is the name of the grant that allowed it; "" for roles/self.
	Grant string
	// Role is the role that allowed it.
	Role string
	// Denial is why not, as far as it is known.
	Denial permissionv1.Denial
}

// Facts are where an answer is taken from: one consistent state of an
// organisation.
type Facts interface {
	// Subject returns what a name holds by itself; never nil without an error.
	Subject(name string) (*Subject, error)
	// Role returns the permissions of a role; none when there is no such role.
	Role(name string) (role.Set, error)
}

// Rules answer questions. They are safe for concurrent use.
type Rules struct {
	catalogue *role.Catalogue
	self      role.Set
}

// New returns the rules for the roles.
func New(roles *role.Roles) *Rules {
	self, _ := roles.BuiltIn(role.Self)
	return &Rules{catalogue: roles.Catalogue(), self: self}
}

// Answer answers a question about the organisation, as in "organizations/acme",
// as of now. A question about another organisation's subject or resource, an
// unknown permission or a malformed name is answered no. The error is that of
// the facts.
func (d *Rules) Answer(facts Facts, organization string, q Question, now time.Time) (Answer, error) {
	permission, known := d.catalogue.Lookup(q.Permission)
	kind, home, ok := authn.ParseName(q.Subject)
	if !known && !q.standing() || !ok || kind == authn.System || home != organization {
		return Answer{}, nil
	}
	ask := query{permission: permission, resource: subjectMatter(q.Resource), root: organization, seconds: now.Unix()}
	if ask.resource == authz.Installation {
		ask.root = authz.Installation
	}
	if !within(ask.resource, ask.root) && !q.standing() {
		return Answer{}, nil
	}
	if declared, err := declares(facts, organization, permission); err != nil || !declared {
		return Answer{}, err
	}
	own, err := facts.Subject(q.Subject)
	if err != nil {
		return Answer{}, err
	}
	if denial := own.standing(q.Session); denial != 0 || q.standing() {
		return Answer{Allowed: denial == 0, Denial: denial}, nil
	}
	if d.self.Has(permission) && within(ask.resource, q.Subject) {
		return Answer{Allowed: true, Role: role.Self}, nil
	}
	if a, err := ask.allows(facts, own); err != nil || a.Allowed {
		return a, err
	}
	for _, name := range own.through {
		other, err := facts.Subject(name)
		if err != nil {
			return Answer{}, err
		}
		if a, err := ask.allows(facts, other); err != nil || a.Allowed {
			return a, err
		}
	}
	return Answer{}, nil
}

// standing reports whether the question is only whether the subject may act at
// all.
func (q Question) standing() bool { return q.Permission == "" && q.Resource == "" }

// query is a Question in the terms of the compiled form.
type query struct {
	permission role.Permission
	resource   string
	root       string // the uppermost name that covers the resource
	seconds    int64
}

// allows looks for a grant to the subject itself, from the resource upwards.
//
// It tries every name above the resource. Every second of these is a
// collection, which no grant names: to look it up in vain is cheaper than to
// count segments, and serves singletons (AIP-156) too.
func (q query) allows(facts Facts, s *Subject) (Answer, error) {
	if len(s.holds) == 0 {
		return Answer{}, nil
	}
	for name := q.resource; len(name) >= len(q.root); name = cut(name) {
		for _, h := range s.on(name) {
			if h.Expires != 0 && q.seconds >= h.Expires {
				continue
			}
			set, err := facts.Role(h.Role)
			if err != nil {
				return Answer{}, err
			}
			if set.Has(q.permission) {
				return Answer{Allowed: true, Grant: h.Grant, Role: h.Role}, nil
			}
		}
	}
	return Answer{}, nil
}

// subjectMatter returns the resource that a question about the name is about.
func subjectMatter(name string) string {
	if collection, ok := strings.CutSuffix(name, "/-"); ok {
		name = cut(collection)
	}
	return name
}

// cut returns name without its last segment; "" when it has only one.
func cut(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

// within reports whether name is the resource or below it.
func within(name, resource string) bool {
	return strings.HasPrefix(name, resource) && (len(name) == len(resource) || name[len(resource)] == '/')
}
