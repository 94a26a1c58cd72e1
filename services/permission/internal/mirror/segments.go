package mirror

import (
	"context"
	"slices"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// addSegments adds the segments of an organisation, and who is in them, to its
// teams. told is false of an identity from before there were segments, which
// says nothing about them.
func (d Directory) addSegments(ctx context.Context, organization string, teams map[string]*team, page func() error) (told bool, err error) {
	var names []string
	err = all(func(token string) (*identityv1.ListSegmentsResponse, error) {
		return d.Segments.ListSegments(ctx, &identityv1.ListSegmentsRequest{Parent: organization, PageSize: pageSize, PageToken: token})
	}, func(resp *identityv1.ListSegmentsResponse) {
		for _, s := range resp.GetSegments() {
			names = append(names, s.GetName())
		}
	}, page)
	if errs.Is(err, errs.Unimplemented) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, segment := range names {
		accounts := make(map[string]bool)
		err := all(func(token string) (*identityv1.ListSegmentMembersResponse, error) {
			return d.Segments.ListSegmentMembers(ctx, &identityv1.ListSegmentMembersRequest{Parent: segment, PageSize: pageSize, PageToken: token})
		}, func(resp *identityv1.ListSegmentMembersResponse) {
			for _, m := range resp.GetSegmentMembers() {
				accounts[m.GetCustomer()] = true
			}
		}, page)
		if errs.Is(err, errs.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return false, err
		}
		teams[segment] = &team{members: accounts}
	}
	return true, nil
}

// withoutSegments returns what is known here of all but segments.
func (l local) withoutSegments() local {
	l.memberships = slices.DeleteFunc(l.memberships, func(m *storev1.Membership) bool { return subject.IsSegment(m.GetTeam()) })
	l.subjects = slices.DeleteFunc(l.subjects, subject.IsSegment)
	return l
}
