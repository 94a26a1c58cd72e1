package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// Values returns the ids of the types of the messages that a request may be
// about: of one message its type, of a group's log all types, because the next
// message may be of any. See serve.ValueSource.
func (s *Server) Values(ctx context.Context, _ *authz.Rule, request proto.Message) (authz.Values, error) {
	home := caller(ctx).Organization()
	return read(ctx, s, func(r kv.Reader) (authz.Values, error) {
		var one authz.Values
		var err error
		switch req := request.(type) {
		case *groupchatv1.CreateMessageRequest:
			one, err = s.typeToSend(r, home, req)
		case *groupchatv1.RetypeMessageRequest:
			one, err = s.typesToChange(r, home, req)
		case *groupchatv1.GetMessageRequest:
			one, err = s.typeOf(r, req.GetName())
		case *groupchatv1.RecallMessageRequest:
			one, err = s.typeOf(r, req.GetName())
		}
		if err != nil || len(one.Of) > 0 {
			return one, err
		}
		ids, err := s.Types.IDs(r, home)
		return authz.Values{Of: ids}, err
	})
}

// typeToSend is the type that a message names, or gets for naming none; no value
// for one that is not there.
func (s *Server) typeToSend(r kv.Reader, home string, req *groupchatv1.CreateMessageRequest) (authz.Values, error) {
	if name := req.GetMessage().GetType(); name != "" {
		id, err := s.Types.Known(r, home, name)
		return value(id), err
	}
	groups, err := s.Groups.GetMany(r, []string{req.GetParent()})
	if err != nil {
		return authz.Values{}, err
	}
	name, err := s.Types.DefaultOf(r, home, groups[0])
	return value(taxonomy.ID(name)), err
}

// typesToChange are the type that a message has and the one that it gets: it
// takes a yes for both.
func (s *Server) typesToChange(r kv.Reader, home string, req *groupchatv1.RetypeMessageRequest) (authz.Values, error) {
	has, err := s.typeOf(r, req.GetName())
	if err != nil || len(has.Of) == 0 {
		return has, err
	}
	gets, err := s.Types.Known(r, home, req.GetType())
	switch {
	case err != nil || gets == "":
		return authz.Values{}, err
	case gets == has.Of[0]:
		return has, nil
	}
	return authz.Values{Of: []string{has.Of[0], gets}, All: true}, nil
}

// typeOf is the type of a message; no value for one that is not there.
func (s *Server) typeOf(r kv.Reader, name string) (authz.Values, error) {
	m, err := s.Messages.Get(r, name)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) {
		return authz.Values{}, nil
	}
	return value(taxonomy.ID(m.GetType())), err
}

func value(id string) authz.Values {
	if id == "" {
		return authz.Values{}
	}
	return authz.Values{Of: []string{id}}
}

// about returns what conditions may look at of a message; nil when it is not
// there.
func (s *Server) about(ctx context.Context, name string) (*permissionv1.Attributes, error) {
	has, err := read(ctx, s, func(r kv.Reader) (authz.Values, error) { return s.typeOf(r, name) })
	if err != nil || len(has.Of) == 0 {
		return nil, err
	}
	return &permissionv1.Attributes{MessageType: has.Of[0]}, nil
}

// ofType returns what conditions may look at of a message of the type.
func ofType(name string) *permissionv1.Attributes {
	return &permissionv1.Attributes{MessageType: taxonomy.ID(name)}
}
