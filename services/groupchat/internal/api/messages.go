package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat/internal/message"
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// messages answers the RPCs of MessageService.
type messages struct{ *Server }

func (s messages) CreateMessage(ctx context.Context, req *groupchatv1.CreateMessageRequest) (*groupchatv1.Message, error) {
	who, scope := caller(ctx), authz.ScopeOf(ctx)
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
		in, err := s.typed(tx, who.Organization(), req.GetMessage(), scope)
		if err != nil {
			return nil, err
		}
		return s.Messages.Create(tx, req.GetParent(), who.Name, in)
	})
	if err == nil {
		s.Hub.Wake(req.GetParent())
	}
	return m, err
}

// typed returns a message to be sent with its type. One that names none gets the
// default with which it was authorised.
func (s messages) typed(r kv.Reader, home string, in *groupchatv1.Message, scope *authz.Scope) (*groupchatv1.Message, error) {
	in = proto.CloneOf(in)
	if in.GetType() == "" {
		ids, _ := scope.Allowed()
		if len(ids) != 1 {
			return nil, errRetyped("the group's default type changed meanwhile; send it again")
		}
		in.Type = taxonomy.Of(home, ids[0])
		return in, nil
	}
	if err := s.Types.Require(r, "message.type", home, in.GetType()); err != nil {
		return nil, err
	}
	if !scope.Holds(taxonomy.ID(in.GetType())) {
		return nil, errRetyped("its type was added meanwhile; send it again")
	}
	return in, nil
}

func errRetyped(message string) error { return errs.New(errs.Conflict, "MESSAGE_RETYPED", message) }

func (s messages) GetMessage(ctx context.Context, req *groupchatv1.GetMessageRequest) (*groupchatv1.Message, error) {
	m, err := read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.Message, error) {
		return s.Messages.Get(r, req.GetName())
	})
	if err != nil {
		return nil, err
	}
	readable, err := authz.ScopeOf(ctx).Allows(ctx, taxonomy.ID(m.GetType()))
	if err != nil {
		return nil, err
	}
	if !readable { // it was re-typed after the call was authorised
		return nil, authz.NewDenied("groupchat.messages.get", req.GetName())
	}
	return m, nil
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
	resp := &groupchatv1.ListMessagesResponse{NextPageToken: next}
	for _, m := range items {
		readable, err := authz.ScopeOf(ctx).Allows(ctx, taxonomy.ID(m.GetType()))
		if err != nil {
			return nil, err
		}
		if readable {
			resp.Messages = append(resp.Messages, m)
		} else {
			resp.Withheld = withhold(resp.GetWithheld(), m.GetSequence())
		}
	}
	return resp, nil
}

// withhold adds a place to those that are withheld, to the last of them when it
// is next to it.
func withhold(places []*groupchatv1.WithheldMessages, sequence int64) []*groupchatv1.WithheldMessages {
	if n := len(places); n > 0 {
		switch last := places[n-1]; sequence {
		case last.GetLastSequence() + 1:
			last.LastSequence = sequence
			return places
		case last.GetFirstSequence() - 1:
			last.FirstSequence = sequence
			return places
		}
	}
	return append(places, &groupchatv1.WithheldMessages{FirstSequence: sequence, LastSequence: sequence})
}

// RecallMessage lets a plain member take back its own messages; those who run
// the group, any.
func (s messages) RecallMessage(ctx context.Context, req *groupchatv1.RecallMessageRequest) (*groupchatv1.Message, error) {
	return changeMessage(ctx, s, req, "groupchat.messages.recall", func(tx *change.Tx, by message.Actor) (*groupchatv1.Message, error) {
		return s.Messages.Recall(tx, req.GetName(), req.GetEtag(), by)
	})
}

// RetypeMessage lets a plain member re-type its own messages; those who run the
// group, any. To re-type is not to read: the answer has the text for who may
// read the message as it is now.
func (s messages) RetypeMessage(ctx context.Context, req *groupchatv1.RetypeMessageRequest) (*groupchatv1.Message, error) {
	m, err := changeMessage(ctx, s, req, "groupchat.messages.retype", func(tx *change.Tx, by message.Actor) (*groupchatv1.Message, error) {
		if err := s.Types.Require(tx, "type", caller(ctx).Organization(), req.GetType()); err != nil {
			return nil, err
		}
		if !by.May(req.GetType()) {
			return nil, errRetyped("the type was added meanwhile; send it again")
		}
		return s.Messages.Retype(tx, req.GetName(), req.GetType(), req.GetEtag(), by)
	})
	if err != nil {
		return nil, err
	}
	// The change is made: what cannot be asked is a no.
	if readable, err := s.may(ctx, "groupchat.messages.get", req.GetName(), ofType(m.GetType())); err != nil || !readable {
		m.Text = ""
	}
	return m, nil
}

// changeMessage changes a message on behalf of the caller, for the types that
// the call was authorised with.
func changeMessage[Q named](ctx context.Context, s messages, req Q, permission string, apply func(*change.Tx, message.Actor) (*groupchatv1.Message, error)) (*groupchatv1.Message, error) {
	group, scope := resource.Parent(req.GetName()), authz.ScopeOf(ctx)
	about, err := s.about(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	who, err := s.actor(ctx, permission, group, about)
	if err != nil {
		return nil, err
	}
	by := message.Actor{Account: who.Account, May: func(name string) bool { return scope.Holds(taxonomy.ID(name)) }}
	m, err := change.DoTogether(ctx, s.Sends, caller(ctx).Organization(), req, func(tx *change.Tx) (*groupchatv1.Message, error) {
		if _, err := s.Groups.Live(tx, "name", group); err != nil {
			return nil, err
		}
		if err := s.Refuse(tx, who.Account); err != nil {
			return nil, err
		}
		any, err := s.Groups.Runs(tx, group, who)
		if err != nil {
			return nil, err
		}
		by := by
		by.Any = any
		return apply(tx, by)
	})
	if err == nil {
		s.Hub.Wake(group)
	}
	return m, err
}

// named is a request about one message.
type named interface {
	proto.Message
	GetName() string
}
