// Package decide answers whether a subject may do something.
//
// It knows grants in a compiled form that answers with a few look-ups,
// whatever their number: one for each level of the resource's name, for each
// of the names by which the account holds grants. Nothing that was decided is
// kept; what is kept, by package cache, is what decisions are made of.
//
// The rules:
//
//   - What no grant allows is denied. A grant that denies takes away what any
//     other allows, and roles/self too.
//   - A grant on a name covers all names below it.
//   - A grant reaches an account that it names; the members of a team that it
//     names and of the teams below that one; the members of a segment;
//     everyone of a kind, or at all; and whoever holds a role on a resource by
//     a grant on that very resource (holders). What is held as a holder makes
//     nobody a holder, so there are no circles.
//   - Teams count in a chain of at most subject.MaxDepth. Of a longer one, or
//     a circle, only the team that the account is in itself allows; all of
//     them deny.
//   - A grant that allows counts, for each account that it reaches by itself,
//     only with the certificates that its role needs on the resource; see
//     package qualification. One that denies counts without.
//   - Every account holds roles/self on its own name.
//   - An account that is suspended or deleted may do nothing at all, and
//     nobody may do anything in a session that has ended. A question without a
//     permission and a resource asks for just that.
//   - From the second of its expiry on, a grant does nothing.
//   - A grant with a condition counts while the condition holds. When that
//     cannot be known, because something that it needs is absent or of another
//     type, a grant that allows does not count and one that denies does. So it
//     is with the grant that makes somebody a holder.
//   - Where the organisation separates duties, what the second side of a
//     forbidden pair gives is denied to who holds the first one too, and what
//     takes two people to who has no approval.
//   - A yes says too whether field policies keep anything from the subject;
//     what they keep is another question (Sight), which the same rules answer.
//   - "-" as the last segment of the resource asks about the parent of the
//     collection before it.
package decide

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
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
	// Approval names a second person's approval; "" for none.
	Approval string
	// Filtering says that it is asked to leave out of an answer what the subject
	// may not have, and not because the subject tries it. No answer depends on
	// it.
	Filtering bool
}

// Answer is the answer to a Question; the zero Answer is no answer.
type Answer struct {
	Allowed bool
	// Grant is the name of the grant that allowed or denied it, or would allow
	// it if its condition held, or if the account had a certificate; "" for roles/self and when there is none.
	Grant string
	// Role is the role that allowed it.
	Role string
	// Denial says why not; unspecified when it is allowed.
	Denial permissionv1.Denial
	// Restricted says, of what is allowed or lacks an approval alone, that field
	// policies may keep the subject from seeing all of it; see Sight.
	Restricted bool
	// Rule is the separation rule that denied it; "" for none.
	Rule string
	// SingleUse says that it is allowed by an approval that who lets the
	// subject act has to use up.
	SingleUse bool
}

// Facts are where an answer is taken from: one consistent state of an
// organisation.
type Facts interface {
	// Subject returns what a name holds by itself; never nil without an error.
	Subject(name string) (*Subject, error)
	// Role returns the permissions of a role; none when there is no such role.
	Role(name string) (role.Set, error)
	// Properties returns what is stored for the name of a subject or a
	// resource; nil for nothing. It is asked only when a condition wants it.
	Properties(name string) (*structpb.Struct, error)
	// Context is that of the call that asks: conditions end with it.
	Context() context.Context
}

// Rules answer questions. They are safe for concurrent use.
type Rules struct {
	catalogue  *role.Catalogue
	self       role.Set
	conditions *condition.Programs
	queries    sync.Pool
}

// New returns the rules for the roles.
func New(roles *role.Roles, conditions *condition.Programs) *Rules {
	self, _ := roles.BuiltIn(role.Self)
	return &Rules{catalogue: roles.Catalogue(), self: self, conditions: conditions}
}

// Answer answers a question about the organisation, as in "organizations/acme",
// as of now. A question about another organisation's subject or resource, an
// unknown permission or a malformed name is answered no. The error is that of
// the facts, or that their context has ended.
func (d *Rules) Answer(facts Facts, organization string, q Question, now time.Time) (Answer, error) {
	ask := d.newQuery(facts, organization, now)
	defer d.free(ask)
	ask.until = now.Unix()
	return ask.answer(q, nil)
}

func no(why permissionv1.Denial) (Answer, error) { return Answer{Denial: why}, nil }

// answer is Answer for a query that has its times. Own is what the subject
// holds by itself; nil is looked up.
func (q *query) answer(question Question, own *Subject) (Answer, error) {
	kind, home, ok := authn.ParseName(question.Subject)
	if !ok || kind == authn.System || home != q.organization {
		return no(permissionv1.Denial_DENIAL_SUBJECT_UNKNOWN)
	}
	if question.Permission == "" && question.Resource == "" {
		if own == nil {
			var err error
			if own, err = q.facts.Subject(question.Subject); err != nil {
				return Answer{}, err
			}
		}
		denial := own.standing(question.Session)
		return Answer{Allowed: denial == 0, Denial: denial}, nil
	}
	var known bool
	if q.permission, known = q.rules.catalogue.Lookup(question.Permission); !known {
		return no(permissionv1.Denial_DENIAL_PERMISSION_UNKNOWN)
	}
	if declared, err := declares(q.facts, q.organization, q.permission); err != nil || !declared {
		return Answer{Denial: permissionv1.Denial_DENIAL_PERMISSION_UNKNOWN}, err
	}
	question.Resource = SubjectMatter(question.Resource)
	root := q.organization
	if question.Resource == authz.Installation {
		root = authz.Installation
	}
	if !within(question.Resource, root) {
		return no(permissionv1.Denial_DENIAL_RESOURCE_FOREIGN)
	}
	if own == nil {
		var err error
		if own, err = q.facts.Subject(question.Subject); err != nil {
			return Answer{}, err
		}
	}
	if denial := own.standing(question.Session); denial != 0 {
		return no(denial)
	}
	q.question = question
	q.levels = appendLevels(q.levels[:0], q.organization, question.Resource, root)
	if err := q.reaches(own, kind); err != nil {
		return Answer{}, err
	}
	a, err := q.decide()
	if err != nil || q.holders.common == nil {
		return a, err
	}
	return q.regulate(a, kind)
}

// regulate looks at an answer by the organisation's common rules.
func (q *query) regulate(a Answer, kind authn.Kind) (Answer, error) {
	if a.Allowed && q.holders.common.separation != nil {
		var err error
		if a, err = q.separate(a); err != nil {
			return Answer{}, err
		}
	}
	// An approval may yet turn that one denial into a yes.
	a.Restricted = (a.Allowed || a.Denial == permissionv1.Denial_DENIAL_APPROVAL_NEEDED) && q.holders.common.fields.restrict(kind)
	return a, nil
}

// SubjectMatter returns the resource that a question about the name is about.
func SubjectMatter(name string) string {
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
