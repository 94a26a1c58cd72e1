package subject

import (
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
)

// Standings returns a page of an organisation's accounts that are not active,
// by name, and where the next page starts, nil at the end.
func (s *Subjects) Standings(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.Standing, []byte, error) {
	page, err := s.standings.List(r, within(organization, after, limit))
	if err != nil {
		return nil, nil, err
	}
	out := make([]*storev1.Standing, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, nil
}

// Memberships is Standings for who is in which team and segment, by account.
func (s *Subjects) Memberships(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.Membership, []byte, error) {
	page, err := s.memberships.List(r, within(organization, after, limit))
	if err != nil {
		return nil, nil, err
	}
	out := make([]*storev1.Membership, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, nil
}

// within selects the keys that begin with a name of the organisation.
func within(organization string, after []byte, limit int) kv.Query {
	const behindSlash = "0" // what follows "/"
	return kv.Query{
		From: kv.Key{kv.String(organization + "/")}, Until: kv.Key{kv.String(organization + behindSlash)},
		After: after, Limit: limit,
	}
}

// Parents is Standings for which team is below which, by team.
func (s *Subjects) Parents(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.TeamParent, []byte, error) {
	page, err := s.parents.List(r, within(organization, after, limit))
	if err != nil {
		return nil, nil, err
	}
	out := make([]*storev1.TeamParent, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, nil
}
