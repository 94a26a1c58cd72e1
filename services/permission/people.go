package permission

import (
	"guildhall.dev/services/permission/internal/api"
	"guildhall.dev/services/permission/internal/decide"
	peopleapi "guildhall.dev/services/permission/internal/people/api"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/reading"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/people/separation"
)

// newPeople makes the centres of change requests, reviews and separation of
// duties, and gives grants and checks the rules of the last. Open gives them the
// store, which needs their tables first.
func newPeople(rules *decide.Rules, loader *decide.Loader) *peopleapi.Change {
	policies, notices := policy.New(loader.Roles), notice.New()
	requests := request.New(request.Config{
		Roles: loader.Roles, Grants: loader.Grants, Subjects: loader.Subjects, Policies: policies, Notices: notices,
		MayGive: api.Config{Rules: rules, Loader: loader}.MayGive,
	})
	separations := separation.New(separation.Config{Rules: rules, Loader: loader})
	loader.Separation, loader.Approvals = separations.Deciding, requests.ApprovalsOf
	loader.Grants.Separate(separations.Refuse)
	return &peopleapi.Change{
		Policies: policies, Notices: notices, Requests: requests, Separations: separations,
		Readings: reading.New(loader.Roles.Catalogue().Permissions(), separations.Counting),
		Reviews:  review.New(review.Config{Roles: loader.Roles, Grants: loader.Grants, Subjects: loader.Subjects}),
	}
}
