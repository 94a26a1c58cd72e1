package api

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat/internal/message"
)

// messages answers the RPCs of MessageService.
type messages struct{ *Server }

func (s messages) CreateMessage(ctx context.Context, req *groupchatv1.CreateMessageRequest) (*groupchatv1.Message, error) {
	who := caller(ctx)
	m, err := change.DoTogether(ctx, s.Sends, who.Organization(), req, func(tx *change.Tx) (*groupchatv1.Message, error) {
		if _, err := s.Groups.Live(tx, "parent", req.GetParent()); err != nil {
			return nil, err
		}
		_, member, err := s.Groups.Role(tx, req.GetParent(), who.Name)
		if err != nil {
			return nil, err
		}
		if !member {
			return nil, errs.New(errs.Denied, "NOT_A_MEMBER", "only members of the group can write in it")
		}
		return s.Messages.Create(tx, req.GetParent(), who.Name, req.GetMessage())
	})
	if err == nil {
		s.Hub.Wake(req.GetParent())
	}
	return m, err
}

func (s messages) GetMessage(ctx context.Context, req *groupchatv1.GetMessageRequest) (*groupchatv1.Message, error) {
	return read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.Message, error) {
		return s.Messages.Get(r, req.GetName())
	})
}

func (s messages) ListMessages(ctx context.Context, req *groupchatv1.ListMessagesRequest) (*groupchatv1.ListMessagesResponse, error) {
	order, err := filter.ParseOrder(req.GetOrderBy(), "sequence")
	if err != nil {
		return nil, err
	}
	forward := len(order) > 0 && !order[0].Desc
	items, next, err := list(ctx, s.Server, pageOf{
		size: req.GetPageSize(), token: req.GetPageToken(), query: []string{"ListMessages", req.GetParent(), boolWord(forward)},
	}, func(r kv.Reader, after []byte, limit int) ([]*groupchatv1.Message, []byte, error) {
		if _, err := s.Groups.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Messages.List(r, req.GetParent(), forward, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &groupchatv1.ListMessagesResponse{Messages: items, NextPageToken: next}, nil
}

// RecallMessage lets a plain member take back its own messages; those who run
// the group, any.
func (s messages) RecallMessage(ctx context.Context, req *groupchatv1.RecallMessageRequest) (*groupchatv1.Message, error) {
	group := resource.Parent(req.GetName())
	who, err := s.actor(ctx, "groupchat.messages.recall", group)
	if err != nil {
		return nil, err
	}
	m, err := change.DoTogether(ctx, s.Sends, caller(ctx).Organization(), req, func(tx *change.Tx) (*groupchatv1.Message, error) {
		if _, err := s.Groups.Live(tx, "name", group); err != nil {
			return nil, err
		}
		any, err := s.Groups.Runs(tx, group, who)
		if err != nil {
			return nil, err
		}
		return s.Messages.Recall(tx, req.GetName(), req.GetEtag(), message.Recaller{Account: who.Account, Any: any})
	})
	if err == nil {
		s.Hub.Wake(group)
	}
	return m, err
}
