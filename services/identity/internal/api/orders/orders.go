// Package orders serves identity's RPCs about the purchase history of customers.
//
// It is a part of package api, apart because all of it together is more than
// anybody wants to read at once; the same is true of its handlers: they turn
// requests into calls of the centres and decide nothing.
package orders

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/order"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterOrderServiceServer(r, orders{c})
}

// orders implements OrderService.
type orders struct{ *api.Centres }

// CreateOrder writes an order down.
func (s orders) CreateOrder(ctx context.Context, req *identityv1.CreateOrderRequest) (*identityv1.Order, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Order, error) {
		if err := s.Accounts.CheckThere(tx, req.GetParent()); err != nil {
			return nil, err
		}
		o, made, err := s.Orders.Create(tx, req.GetParent(), req.GetOrder())
		if err == nil && made && o.GetType() == identityv1.Order_TYPE_PURCHASE {
			err = s.Accounts.Bought(tx, req.GetParent(), o.GetName(), o.GetOrderTime().AsTime())
		}
		return o, err
	})
}

// GetOrder returns an order with its lines.
func (s orders) GetOrder(ctx context.Context, req *identityv1.GetOrderRequest) (*identityv1.Order, error) {
	if err := order.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Order, error) { return s.Orders.Get(r, req.GetName()) })
}

// ListOrders returns a page of a customer's orders, newest first. Those of a deleted
// customer can be read until it is purged.
func (s orders) ListOrders(ctx context.Context, req *identityv1.ListOrdersRequest) (*identityv1.ListOrdersResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := order.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListOrders",
		func(r kv.Reader, after []byte, limit int) ([]*identityv1.Order, []byte, error) {
			if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
				return nil, nil, err
			}
			return s.Orders.List(r, req.GetParent(), terms, after, limit)
		}, req.GetFilter())
	return &identityv1.ListOrdersResponse{Orders: found, NextPageToken: next}, err
}

// DeleteOrder removes an order.
func (s orders) DeleteOrder(ctx context.Context, req *identityv1.DeleteOrderRequest) (*identityv1.Order, error) {
	if err := order.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Order, error) {
		if err := s.Accounts.CheckHold(tx, resource.Parent(req.GetName())); err != nil {
			return nil, err
		}
		o, err := s.Orders.Delete(tx, req.GetName(), req.GetEtag())
		if err == nil {
			err = s.Accounts.Unbought(tx, resource.Parent(req.GetName()))
		}
		return o, err
	})
}

// GetPurchaseSummary returns what a customer's orders come to.
func (s orders) GetPurchaseSummary(ctx context.Context, req *identityv1.GetPurchaseSummaryRequest) (out *identityv1.PurchaseSummary, err error) {
	if err := order.SummaryPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	customer := strings.TrimSuffix(req.GetName(), "/purchaseSummary")
	err = s.Store.View(ctx, func(r kv.Reader) error {
		if _, err := s.Accounts.Get(r, customer); err != nil {
			return err
		}
		out, err = s.Orders.Summary(r, customer)
		return err
	})
	return out, err
}

// ImportOrders reads a CSV file off the stream and answers each line.
func (s orders) ImportOrders(stream grpc.BidiStreamingServer[identityv1.ImportOrdersRequest, identityv1.ImportOrdersResponse]) error {
	options, file, err := api.Upload(stream.Recv, (*identityv1.ImportOrdersRequest).GetOptions)
	if err != nil {
		return err
	}
	return s.Importer.ImportOrders(stream.Context(), options, file, stream.Send)
}
