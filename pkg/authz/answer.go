package authz

import permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

// Answer is what is said of one question: whether a caller holds a permission
// on a resource, in one variant of what is known, or on all resources of a
// Request together. The zero Answer is no.
type Answer struct {
	// Resource is what it is about; "" of one about several.
	Resource string
	Allowed  bool
	// Denial says why not.
	Denial permissionv1.Denial
	// SingleUse says that the yes rests on an approval that is to be used up.
	SingleUse bool
	// Restricted says that field policies of the caller's organisation may keep
	// the caller from seeing all of what it may read: a Discloser says of what.
	// A no that only lacks an approval says it too.
	Restricted bool
}

// involved reports whether the answer depends on a second person's approval.
func (a Answer) involved() bool {
	return a.SingleUse || !a.Allowed && a.Denial == permissionv1.Denial_DENIAL_APPROVAL_NEEDED
}
