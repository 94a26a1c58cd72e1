package decide

import permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

// standing returns why the subject may do nothing in the session, and zero when
// it may act.
func (s *Subject) standing(session string) permissionv1.Denial {
	switch {
	case !s.barred:
		return permissionv1.Denial_DENIAL_UNSPECIFIED
	case s.facts.Denied:
		return permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
	case s.facts.HasEnded(session):
		return permissionv1.Denial_DENIAL_SESSION_ENDED
	default:
		return permissionv1.Denial_DENIAL_UNSPECIFIED
	}
}
