package permission

import (
	"guildhall.dev/services/permission/internal/grant"
	peopleapi "guildhall.dev/services/permission/internal/people/api"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// newPeople makes the centres of change requests. Its journal, logger and clock
// are there once the store is open, which needs the tables first.
func newPeople(roles *role.Roles, subjects *subject.Subjects, grants *grant.Grants, mayGive request.MayGive) *peopleapi.Change {
	policies, notices := policy.New(roles), notice.New()
	return &peopleapi.Change{
		Policies: policies, Notices: notices,
		Requests: request.New(request.Config{
			Roles: roles, Grants: grants, Subjects: subjects, Policies: policies, Notices: notices, MayGive: mayGive,
		}),
	}
}
