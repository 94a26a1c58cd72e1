package request

import (
	"strconv"

	"guildhall.dev/pkg/move"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

// Moved is what becomes of the requests of an account that is merged into another
// one. Those that are over are that one's, as what the person asked for. Those that
// wait, and approvals in force, stay: what would come of them was asked for, verified
// and approved for the one account, and a merge gives nobody anything. Their stage
// ends by itself.
func (s *Requests) Moved() move.Kind {
	return s.shelf.Moved(shelf.Moving[*permissionv1.PermissionChangeRequest]{
		Stays: func(v *permissionv1.PermissionChangeRequest) bool {
			state := v.GetState()
			return state == submitted || state == verified || state == approved
		},
		Places: places,
	})
}

// places are where a request names its account, beside its name. The grant that it
// made is not among them: that stays.
func places(v *permissionv1.PermissionChangeRequest) []move.Place {
	out := []move.Place{{Path: "subject", At: &v.Subject}, {Path: "creator", At: &v.Creator}, {Path: "notice", At: &v.Notice}}
	for i, h := range v.GetHistory() {
		out = append(out, move.Place{Path: "history." + strconv.Itoa(i) + ".actor", At: &h.Actor})
	}
	return out
}
