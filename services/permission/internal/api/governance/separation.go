package governance

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/separation"
	"guildhall.dev/services/permission/internal/subject"
)

type separations struct{ Config }

// CreateSeparationRule implements permissionv1.SeparationRuleServiceServer.
func (s *separations) CreateSeparationRule(ctx context.Context, req *permissionv1.CreateSeparationRuleRequest) (*permissionv1.SeparationRule, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.SeparationRule, error) {
		return s.Separations.Create(tx, req.GetParent(), req.GetSeparationRuleId(), req.GetSeparationRule())
	})
}

// GetSeparationRule implements permissionv1.SeparationRuleServiceServer.
func (s *separations) GetSeparationRule(ctx context.Context, req *permissionv1.GetSeparationRuleRequest) (*permissionv1.SeparationRule, error) {
	if err := separation.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.SeparationRule, error) {
		return s.Separations.Get(r, req.GetName())
	})
}

// ListSeparationRules implements permissionv1.SeparationRuleServiceServer.
func (s *separations) ListSeparationRules(ctx context.Context, req *permissionv1.ListSeparationRulesRequest) (*permissionv1.ListSeparationRulesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListSeparationRules", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.SeparationRule, []byte, error) {
			return s.Separations.List(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListSeparationRulesResponse{SeparationRules: items, NextPageToken: next}, nil
}

// UpdateSeparationRule implements permissionv1.SeparationRuleServiceServer.
func (s *separations) UpdateSeparationRule(ctx context.Context, req *permissionv1.UpdateSeparationRuleRequest) (*permissionv1.SeparationRule, error) {
	if err := separation.Pattern.Check("separation_rule.name", req.GetSeparationRule().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.SeparationRule, error) {
		return s.Separations.Update(tx, req.GetSeparationRule(), req.GetUpdateMask())
	})
}

// DeleteSeparationRule implements permissionv1.SeparationRuleServiceServer.
func (s *separations) DeleteSeparationRule(ctx context.Context, req *permissionv1.DeleteSeparationRuleRequest) (*permissionv1.SeparationRule, error) {
	if err := separation.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.SeparationRule, error) {
		return s.Separations.Delete(tx, req.GetName(), req.GetEtag())
	})
}

// SimulateSeparation implements permissionv1.SeparationRuleServiceServer.
func (s *separations) SimulateSeparation(ctx context.Context, req *permissionv1.SimulateSeparationRequest) (*permissionv1.SimulateSeparationResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	resp, now := &permissionv1.SimulateSeparationResponse{}, s.Clock()
	if g := proto.CloneOf(req.GetGrant()); g != nil {
		g.Name = req.GetParent() + "/grants/-"
		return resp, s.Journal.Store.View(ctx, func(r kv.Reader) error {
			found, unseen, err := s.Separations.Simulate(r, now, g)
			resp.Violations, resp.UnseenMembers = found, int32(unseen)
			return err
		})
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"SimulateSeparation", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.SeparationViolation, []byte, error) {
			found, unseen, next, err := s.Separations.Existing(r, now, req.GetParent(), after, limit)
			resp.UnseenMembers = int32(unseen)
			return found, next, err
		})
	if err != nil {
		return nil, err
	}
	resp.Violations, resp.NextPageToken = found, next
	return resp, nil
}

// ListAlarms implements permissionv1.AlarmServiceServer.
func (s *separations) ListAlarms(ctx context.Context, req *permissionv1.ListAlarmsRequest) (*permissionv1.ListAlarmsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListAlarms", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Alarm, []byte, error) {
			return s.Readings.List(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAlarmsResponse{Alarms: items, NextPageToken: next}, nil
}
