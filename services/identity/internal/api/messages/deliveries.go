package messages

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/organization"
)

// deliveries implements DeliveryService.
type deliveries struct{ *api.Centres }

// GetDelivery returns a delivery.
func (s deliveries) GetDelivery(ctx context.Context, req *identityv1.GetDeliveryRequest) (*identityv1.Delivery, error) {
	if err := delivery.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Delivery, error) { return s.Outbox.Get(r, req.GetName()) })
}

// ListDeliveries returns a page of deliveries, newest first.
func (s deliveries) ListDeliveries(ctx context.Context, req *identityv1.ListDeliveriesRequest) (*identityv1.ListDeliveriesResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := delivery.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListDeliveries",
		func(r kv.Reader, after []byte, limit int) ([]*identityv1.Delivery, []byte, error) {
			return s.Outbox.List(r, req.GetParent(), terms, after, limit)
		}, req.GetFilter())
	return &identityv1.ListDeliveriesResponse{Deliveries: found, NextPageToken: next}, err
}

// RetryDelivery sends a message again that has failed.
func (s deliveries) RetryDelivery(ctx context.Context, req *identityv1.RetryDeliveryRequest) (*identityv1.Delivery, error) {
	if err := delivery.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Delivery, error) {
		return s.Outbox.Retry(tx, req.GetName(), req.GetEtag())
	})
}

// ReportDelivery takes down what a provider has found out.
func (s deliveries) ReportDelivery(ctx context.Context, req *identityv1.ReportDeliveryRequest) (*identityv1.Delivery, error) {
	if err := delivery.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Delivery, error) {
		return s.Outbox.Report(tx, req.GetName(), req.GetOutcome())
	})
}

// ListSuppressions returns a page of suppressions, by name.
func (s deliveries) ListSuppressions(ctx context.Context, req *identityv1.ListSuppressionsRequest) (*identityv1.ListSuppressionsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListSuppressions",
		func(r kv.Reader, after []byte, limit int) ([]*identityv1.Suppression, []byte, error) {
			return s.Outbox.Suppressions(r, req.GetParent(), after, limit)
		})
	return &identityv1.ListSuppressionsResponse{Suppressions: found, NextPageToken: next}, err
}

// DeleteSuppression lets messages go to a target again.
func (s deliveries) DeleteSuppression(ctx context.Context, req *identityv1.DeleteSuppressionRequest) (*identityv1.Suppression, error) {
	if err := delivery.SuppressionPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Suppression, error) {
		return s.Outbox.DeleteSuppression(tx, req.GetName(), req.GetEtag())
	})
}
