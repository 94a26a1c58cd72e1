package permission

import (
	"guildhall.dev/services/permission/internal/api"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	peopleapi "guildhall.dev/services/permission/internal/people/api"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// newPeople makes the centres of change requests and reviews. Open gives them
// the store, which needs their tables first.
func newPeople(roles *role.Roles, subjects *subject.Subjects, grants *grant.Grants) *peopleapi.Change {
	policies, notices := policy.New(roles), notice.New()
	giving := api.Config{
		Rules: decide.New(roles), Loader: &decide.Loader{Grants: grants, Subjects: subjects, Roles: roles},
	}
	return &peopleapi.Change{
		Policies: policies, Notices: notices,
		Requests: request.New(request.Config{
			Roles: roles, Grants: grants, Subjects: subjects, Policies: policies, Notices: notices, MayGive: giving.MayGive,
		}),
		Reviews: review.New(review.Config{Roles: roles, Grants: grants, Subjects: subjects}),
	}
}
