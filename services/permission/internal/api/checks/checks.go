package checks

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/subject"
)

type checks struct{ Config }

// Check implements permissionv1.CheckServiceServer.
func (s *checks) Check(ctx context.Context, req *permissionv1.CheckRequest) (*permissionv1.CheckResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := checkPair("query", req.GetQuery()); err != nil {
		return nil, err
	}
	if err := checkAttributes("query", req.GetQuery()); err != nil {
		return nil, err
	}
	need, err := s.need(req.GetParent(), req.GetConsistency())
	if err != nil {
		return nil, err
	}
	answers, v, err := s.Checker.AnswerAs(ctx, req.GetParent(), need, []decide.Question{check.Question(req.GetQuery())})
	if err != nil {
		return nil, err
	}
	return &permissionv1.CheckResponse{Result: check.Result(answers[0], v), ConsistencyToken: s.Tokens.Of(req.GetParent(), v)}, nil
}

// BatchCheck implements permissionv1.CheckServiceServer.
func (s *checks) BatchCheck(ctx context.Context, req *permissionv1.BatchCheckRequest) (*permissionv1.BatchCheckResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	need, err := s.need(req.GetParent(), req.GetConsistency())
	if err != nil {
		return nil, err
	}
	questions := make([]decide.Question, len(req.GetQueries()))
	for i, q := range req.GetQueries() {
		if err := checkPair("queries", q); err != nil {
			return nil, err
		}
		if q.GetAttributes() != nil {
			if err := checkAttributes(fmt.Sprintf("queries[%d]", i), q); err != nil {
				return nil, err
			}
		}
		questions[i] = check.Question(q)
	}
	answers, v, err := s.Checker.AnswerAs(ctx, req.GetParent(), need, questions)
	if err != nil {
		return nil, err
	}
	return &permissionv1.BatchCheckResponse{Results: check.Results(answers, v), ConsistencyToken: s.Tokens.Of(req.GetParent(), v)}, nil
}

// CheckCover implements permissionv1.CheckServiceServer.
func (s *checks) CheckCover(ctx context.Context, req *permissionv1.CheckCoverRequest) (*permissionv1.CheckCoverResponse, error) {
	home := req.GetParent()
	if err := subject.Organization.Check("parent", home); err != nil {
		return nil, err
	}
	// One of another organisation would hold nothing here, and so be covered.
	if a := req.GetActor(); !subject.IsAccount(a) || subject.OrganizationOf(a) != home {
		return nil, errs.InvalidField("actor", "SUBJECT_INVALID", "name an account of the organisation")
	}
	if t := req.GetSubject(); !subject.IsAccount(t) && !subject.IsTeam(t) && !subject.IsSegment(t) || subject.OrganizationOf(t) != home {
		return nil, errs.InvalidField("subject", "SUBJECT_INVALID", "name an account, a team or a segment of the organisation")
	}
	compare := s.Rules.Cover
	if req.GetDenied() {
		compare = s.Rules.Lift
	}
	now := s.Clock()
	var gap decide.Gap
	err := s.Journal.Store.View(ctx, func(r kv.Reader) (err error) {
		gap, err = compare(s.Loader.Snapshot(r), home, req.GetActor(), req.GetSubject(), now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.CheckCoverResponse{Covered: gap == decide.Gap{}, Permission: gap.Permission, Resource: gap.Resource}, nil
}

// checkPair refuses half a question: without both permission and resource it
// asks whether the subject may act at all.
func checkPair(field string, q *permissionv1.CheckQuery) error {
	if (q.GetPermission() == "") == (q.GetResource() == "") {
		return nil
	}
	return errs.InvalidField(field, "VALIDATION_FAILED",
		"send both permission and resource, or neither to ask whether the subject may act at all")
}

// maxAttributes is the most bytes that the attributes of a question take: no
// more than may be stored of a name. What conditions cost is counted in what
// they look at.
const maxAttributes = property.MaxBytes

func checkAttributes(field string, q *permissionv1.CheckQuery) error {
	if size := proto.Size(q.GetAttributes()); size > maxAttributes {
		return errs.InvalidField(field+".attributes", "ATTRIBUTES_TOO_LARGE",
			fmt.Sprintf("they take %d bytes; send at most %d, and only what conditions look at", size, maxAttributes))
	}
	return nil
}
