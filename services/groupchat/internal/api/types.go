package api

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// messageTypes answers the RPCs of MessageTypeService.
type messageTypes struct{ *Server }

func (s messageTypes) CreateMessageType(ctx context.Context, req *groupchatv1.CreateMessageTypeRequest) (*groupchatv1.MessageType, error) {
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*groupchatv1.MessageType, error) {
		return s.Types.Create(tx, req.GetParent(), req.GetMessageTypeId(), req.GetMessageType())
	})
}

func (s messageTypes) GetMessageType(ctx context.Context, req *groupchatv1.GetMessageTypeRequest) (*groupchatv1.MessageType, error) {
	return read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.MessageType, error) {
		return s.Types.Get(r, req.GetName())
	})
}

func (s messageTypes) ListMessageTypes(ctx context.Context, req *groupchatv1.ListMessageTypesRequest) (*groupchatv1.ListMessageTypesResponse, error) {
	items, next, err := list(ctx, s.Server, pageOf{
		size: req.GetPageSize(), token: req.GetPageToken(),
		query: []string{"ListMessageTypes", req.GetParent(), boolWord(req.GetShowDeleted())},
	}, func(r kv.Reader, after []byte, limit int) ([]*groupchatv1.MessageType, []byte, error) {
		return s.Types.List(r, req.GetParent(), req.GetShowDeleted(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &groupchatv1.ListMessageTypesResponse{MessageTypes: items, NextPageToken: next}, nil
}

func (s messageTypes) UpdateMessageType(ctx context.Context, req *groupchatv1.UpdateMessageTypeRequest) (*groupchatv1.MessageType, error) {
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetMessageType(), "display_name", "display_name_zh", "description")
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*groupchatv1.MessageType, error) {
		return s.Types.Update(tx, req.GetMessageType(), paths)
	})
}

func (s messageTypes) SetDefaultMessageType(ctx context.Context, req *groupchatv1.SetDefaultMessageTypeRequest) (*groupchatv1.MessageType, error) {
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*groupchatv1.MessageType, error) {
		return s.Types.SetDefault(tx, req.GetName())
	})
}

func (s messageTypes) DeleteMessageType(ctx context.Context, req *groupchatv1.DeleteMessageTypeRequest) (*groupchatv1.MessageType, error) {
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*groupchatv1.MessageType, error) {
		return s.Types.Delete(tx, req.GetName(), req.GetEtag())
	})
}

func (s messageTypes) UndeleteMessageType(ctx context.Context, req *groupchatv1.UndeleteMessageTypeRequest) (*groupchatv1.MessageType, error) {
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*groupchatv1.MessageType, error) {
		return s.Types.Undelete(tx, req.GetName(), req.GetEtag())
	})
}
