package api

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authz"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat/internal/message"
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// teller tells the reader of a stream what it may know of the group's log. It
// asks the scope right before each message: what is read from the store may be
// of a type that the reader has lost since.
type teller struct {
	stream grpc.ServerStreamingServer[groupchatv1.StreamMessagesResponse]
	scope  *authz.Scope
	home   string // the organisation

	said     []string // the types that the reader knows it may read
	limited  bool     // and that they are not all
	withheld *groupchatv1.WithheldMessages
}

// tellScope says which types the reader may read, when that is not what it knows
// already: who was told nothing may read all.
func (t *teller) tellScope() error {
	ids, all := t.scope.Allowed()
	if all && !t.limited || !all && t.limited && slices.Equal(ids, t.said) {
		return nil
	}
	t.said, t.limited = ids, !all
	scope := &groupchatv1.StreamMessagesResponse_Scope{All: all}
	for _, id := range ids {
		scope.Types = append(scope.Types, taxonomy.Of(t.home, id))
	}
	return t.stream.Send(&groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Scope_{Scope: scope}})
}

// tell sends a step of the log.
func (t *teller) tell(ctx context.Context, step message.Step) error {
	for _, e := range step.Events {
		readable, err := t.scope.Allows(ctx, taxonomy.ID(e.Message.GetType()))
		if err != nil {
			return err
		}
		if !readable && !e.Changed {
			t.withhold(e.Message.GetSequence())
			continue
		}
		if err := t.flush(); err != nil {
			return err
		}
		if err := t.stream.Send(response(e, readable)); err != nil {
			return err
		}
	}
	return t.flush()
}

// response is what the reader hears of one event.
func response(e message.Event, readable bool) *groupchatv1.StreamMessagesResponse {
	resp := &groupchatv1.StreamMessagesResponse{}
	switch {
	case !readable:
		resp.Event = &groupchatv1.StreamMessagesResponse_Removed{
			Removed: &groupchatv1.StreamMessagesResponse_Removal{Sequence: e.Message.GetSequence()},
		}
	case !e.Changed:
		resp.Event = &groupchatv1.StreamMessagesResponse_Message{Message: e.Message}
	case e.Message.GetRecallTime() != nil:
		resp.Event = &groupchatv1.StreamMessagesResponse_Recalled{Recalled: e.Message}
	default:
		resp.Event = &groupchatv1.StreamMessagesResponse_Retyped{Retyped: e.Message}
	}
	return resp
}

// withhold keeps a place that follows those kept, to be told of at once.
func (t *teller) withhold(sequence int64) {
	if t.withheld == nil {
		t.withheld = &groupchatv1.WithheldMessages{FirstSequence: sequence}
	}
	t.withheld.LastSequence = sequence
}

// flush tells of the places that are kept.
func (t *teller) flush() error {
	if t.withheld == nil {
		return nil
	}
	resp := &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Withheld{Withheld: t.withheld}}
	t.withheld = nil
	return t.stream.Send(resp)
}
