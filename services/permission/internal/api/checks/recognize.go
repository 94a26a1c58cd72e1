package checks

import (
	"google.golang.org/protobuf/proto"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// What the protos of questions allow, in bytes where they count characters:
// what is short enough in bytes is so in characters.
const (
	maxName       = 400
	maxPermission = 100
	maxSession    = 64
	maxQueries    = 1000
)

// Recognizes implements rpc.Recognizer: it knows the questions that are asked
// most, without attributes and on the newest state.
func (*checks) Recognizes(request proto.Message) bool {
	switch r := request.(type) {
	case *permissionv1.CheckRequest:
		return r.GetParent() != "" && r.GetConsistency() == nil && plain(r.GetQuery())
	case *permissionv1.BatchCheckRequest:
		queries := r.GetQueries()
		if r.GetParent() == "" || r.GetConsistency() != nil || len(queries) == 0 || len(queries) > maxQueries {
			return false
		}
		for _, q := range queries {
			if !plain(q) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func plain(q *permissionv1.CheckQuery) bool {
	return q != nil && q.GetAttributes() == nil &&
		q.GetSubject() != "" && len(q.GetSubject()) <= maxName && len(q.GetPermission()) <= maxPermission &&
		len(q.GetResource()) <= maxName && len(q.GetSession()) <= maxSession && len(q.GetApproval()) <= maxName
}
