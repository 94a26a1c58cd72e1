package request

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// How long an approval counts that says neither a duration nor an end, and how
// long one may count that says an end only: as long as the longest duration.
const (
	approvalTime = time.Hour
	approvalMost = 30 * 24 * time.Hour
)

// untilOf returns until when what a request asks for is wanted; nil is for
// good, or up to who approves.
func untilOf(v *permissionv1.PermissionChangeRequest) *timestamppb.Timestamp {
	if a := v.GetAccess(); a != nil {
		return a.GetUntil()
	}
	return v.GetApproval().GetUntil()
}

// checkUntil refuses a wish for a time that is over.
func checkUntil(v *permissionv1.PermissionChangeRequest, field string) error {
	until := untilOf(v)
	if until == nil {
		return nil
	}
	if !until.IsValid() {
		return errs.InvalidField(field, "TIMESTAMP_INVALID", "send a time of the years 1 to 9999")
	}
	if !until.AsTime().After(v.GetCreateTime().AsTime()) {
		return errs.InvalidField(field, "EXPIRE_TIME_PAST", "send a time that is still to come, or none")
	}
	return nil
}

// approvedUntil returns until when an approval given now counts. What a check
// compares is what a reader sees: whole seconds.
func approvedUntil(v *permissionv1.PermissionChangeRequest, now time.Time) *timestamppb.Timestamp {
	within, until := approvalTime, untilOf(v)
	switch {
	case v.GetApproval().GetDuration() != nil:
		within = v.GetApproval().GetDuration().AsDuration()
	case until != nil:
		within = approvalMost
	}
	return &timestamppb.Timestamp{Seconds: earlier(now.Add(within), until).Unix()}
}

// outlasts reports whether a grant ends later than what it answers is wanted.
func outlasts(give *permissionv1.WantedGrant, until *timestamppb.Timestamp) bool {
	return until != nil && (give.GetExpireTime() == nil || give.GetExpireTime().AsTime().After(until.AsTime()))
}

// earlier returns the earlier of two times; nil is never.
func earlier(at time.Time, other *timestamppb.Timestamp) time.Time {
	if other != nil && other.AsTime().Before(at) {
		return other.AsTime()
	}
	return at
}
