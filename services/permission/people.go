package permission

import (
	"guildhall.dev/services/permission/internal/api"
	"guildhall.dev/services/permission/internal/decide"
	peopleapi "guildhall.dev/services/permission/internal/people/api"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/people/review"
)

// newPeople makes the centres of change requests and reviews. Open gives them
// the store, which needs their tables first.
func newPeople(rules *decide.Rules, loader *decide.Loader) *peopleapi.Change {
	policies, notices := policy.New(loader.Roles), notice.New()
	return &peopleapi.Change{
		Policies: policies, Notices: notices,
		Requests: request.New(request.Config{
			Roles: loader.Roles, Grants: loader.Grants, Subjects: loader.Subjects, Policies: policies, Notices: notices,
			MayGive: api.Config{Rules: rules, Loader: loader}.MayGive,
		}),
		Reviews: review.New(review.Config{Roles: loader.Roles, Grants: loader.Grants, Subjects: loader.Subjects}),
	}
}
