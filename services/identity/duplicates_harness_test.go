package identity_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func (p *process) duplicates() identityv1.DuplicateServiceClient {
	return identityv1.NewDuplicateServiceClient(p.conn)
}

// hide says which resources nobody sees, and of which resources which classes of
// data, as in "contact organizations/acme/customers/c1".
func (s *permission) hide(unseen, hidden []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unseen, s.hidden = make(map[string]bool), make(map[string]bool)
	for _, name := range unseen {
		s.unseen[name] = true
	}
	for _, each := range hidden {
		s.hidden[each] = true
	}
}

func (s *permission) checkEach(req *permissionv1.BatchCheckRequest, reply *permissionv1.BatchCheckResponse) {
	for _, q := range req.GetQueries() {
		result := &permissionv1.CheckResult{Allowed: !s.unseen[q.GetResource()] && !s.exceed[lacking(q.GetPermission())]}
		for each := range maps.Keys(s.hidden) {
			result.Restricted = result.Restricted || strings.HasSuffix(each, " "+q.GetResource())
		}
		reply.Results = append(reply.Results, result)
	}
}

func (s *permission) disclose(req *permissionv1.DiscloseRequest, reply *permissionv1.DiscloseResponse) {
	for _, name := range req.GetResources() {
		for _, class := range req.GetDataClasses() {
			sight := &permissionv1.Sight{Visibility: permissionv1.Visibility_VISIBILITY_FULL}
			if s.hidden[class+" "+name] {
				sight.Visibility = permissionv1.Visibility_VISIBILITY_MASKED
			}
			reply.Sights = append(reply.Sights, sight)
		}
	}
}

// told writes evidence down: "+NAME ~PHONE -COUNTRY".
func told(evidence []*identityv1.DuplicateEvidence) string {
	var out []string
	for _, e := range evidence {
		out = append(out, string(" +~-"[e.GetVerdict()])+strings.TrimPrefix(e.GetField().String(), "FIELD_"))
	}
	return strings.Join(out, " ")
}

// alike returns who is found for a customer: "c2 +NAME | c3 +PHONE".
func (p *process) alike(ctx context.Context, id string, least float64) string {
	p.t.Helper()
	resp, err := p.duplicates().FindDuplicates(ctx, &identityv1.FindDuplicatesRequest{Name: org + "/customers/" + id, MinScore: least})
	if err != nil {
		p.t.Fatal(err)
	}
	var out []string
	for _, c := range resp.GetCandidates() {
		out = append(out, strings.TrimPrefix(c.GetCustomer().GetName(), org+"/customers/")+" "+told(c.GetEvidence()))
	}
	for _, field := range resp.GetCommonFields() {
		out = append(out, "too common "+strings.TrimPrefix(field.String(), "FIELD_"))
	}
	return strings.Join(out, " | ")
}

// pairs returns all pairs, "c1-c2 c1-c3", and how many pages they came in.
func (p *process) pairs(ctx context.Context, size int32) (found string, pages int) {
	p.t.Helper()
	var out []string
	req := &identityv1.ListDuplicatePairsRequest{Parent: org, PageSize: size, MinScore: 0.001}
	for {
		resp, err := p.duplicates().ListDuplicatePairs(ctx, req)
		if err != nil {
			p.t.Fatal(err)
		}
		pages++
		for _, pair := range resp.GetDuplicatePairs() {
			out = append(out, strings.ReplaceAll(fmt.Sprintf("%s-%s", pair.GetFirst().GetName(), pair.GetSecond().GetName()), org+"/customers/", ""))
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return strings.Join(out, " "), pages
		}
	}
}

// dismiss says that two customers are not one person.
func (p *process) dismiss(ctx context.Context, id, a, b string) (*identityv1.DuplicateDismissal, error) {
	return p.duplicates().CreateDuplicateDismissal(ctx, &identityv1.CreateDuplicateDismissalRequest{
		Parent: org, DuplicateDismissalId: id, RequestId: "dismiss-" + id,
		DuplicateDismissal: &identityv1.DuplicateDismissal{Customers: []string{org + "/customers/" + a, org + "/customers/" + b}, Note: "twin of Countess Lovelace"},
	})
}

// sorted returns words in order.
func sorted(text string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(text))), " ")
}
