package api

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat/internal/group"
)

// groups answers the RPCs of GroupService.
type groups struct{ *Server }

func groupOfMember(m *groupchatv1.Member) string { return resource.Parent(m.GetName()) }

func (s groups) CreateGroup(ctx context.Context, req *groupchatv1.CreateGroupRequest) (*groupchatv1.Group, error) {
	return s.change(ctx, req, func(tx *change.Tx) (*groupchatv1.Group, error) {
		if err := s.Refuse(tx, caller(ctx).Name); err != nil {
			return nil, err
		}
		if err := s.requireType(tx, req.GetParent(), req.GetGroup()); err != nil {
			return nil, err
		}
		return s.Groups.Create(tx, req.GetParent(), req.GetGroupId(), caller(ctx).Name, req.GetGroup())
	})
}

// requireType refuses a default type that messages cannot have.
func (s groups) requireType(r kv.Reader, parent string, g *groupchatv1.Group) error {
	if g.GetDefaultMessageType() == "" {
		return nil
	}
	return s.Types.Require(r, "group.default_message_type", parent, g.GetDefaultMessageType())
}

// change is do for what returns a group. The head is read after the commit: in
// the transaction it would make a change of settings conflict with each send.
func (s groups) change(ctx context.Context, req proto.Message, fn func(tx *change.Tx) (*groupchatv1.Group, error)) (*groupchatv1.Group, error) {
	g, err := do(ctx, s.Server, req, func(g *groupchatv1.Group) string { return g.GetName() }, fn)
	if err != nil {
		return nil, err
	}
	return read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.Group, error) { return g, s.addHeads(r, g) })
}

func (s groups) GetGroup(ctx context.Context, req *groupchatv1.GetGroupRequest) (*groupchatv1.Group, error) {
	return read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.Group, error) {
		g, err := s.Groups.Get(r, req.GetName())
		if err != nil {
			return nil, err
		}
		return g, s.addHeads(r, g)
	})
}

// addHeads fills in the fields that are kept apart from the group.
func (s groups) addHeads(r kv.Reader, items ...*groupchatv1.Group) error {
	names := make([]string, len(items))
	for i, g := range items {
		names[i] = g.GetName()
	}
	heads, err := s.Messages.Heads(r, names)
	if err != nil {
		return err
	}
	for i, g := range items {
		g.LastSequence = heads[i].GetLastSequence()
	}
	return nil
}

// ListGroups leaves out what the caller may not get: its rule lets any caller
// in, so the organisation is checked here.
func (s groups) ListGroups(ctx context.Context, req *groupchatv1.ListGroupsRequest) (*groupchatv1.ListGroupsResponse, error) {
	if _, err := group.Organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	who := caller(ctx)
	if req.GetParent() != who.Organization() {
		return nil, errs.NotFoundName("RESOURCE_NOT_FOUND", req.GetParent())
	}
	all, err := s.may(ctx, "groupchat.groups.list", req.GetParent(), nil)
	if err != nil {
		return nil, err
	}
	scope := "own"
	if all {
		scope = "all"
	}
	items, next, err := list(ctx, s.Server, pageOf{
		size: req.GetPageSize(), token: req.GetPageToken(), query: []string{"ListGroups", req.GetParent(), scope, boolWord(req.GetShowDeleted())},
	}, func(r kv.Reader, after []byte, limit int) (items []*groupchatv1.Group, next []byte, err error) {
		if all {
			items, next, err = s.Groups.ListAll(r, req.GetParent(), req.GetShowDeleted(), after, limit)
		} else {
			items, next, err = s.Groups.ListOf(r, who.Name, req.GetShowDeleted(), after, limit)
		}
		if err != nil {
			return nil, nil, err
		}
		return items, next, s.addHeads(r, items...)
	})
	if err != nil {
		return nil, err
	}
	return &groupchatv1.ListGroupsResponse{Groups: items, NextPageToken: next}, nil
}

func boolWord(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func (s groups) UpdateGroup(ctx context.Context, req *groupchatv1.UpdateGroupRequest) (*groupchatv1.Group, error) {
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetGroup(), "display_name", "description", "default_message_type")
	if err != nil {
		return nil, err
	}
	return s.change(ctx, req, func(tx *change.Tx) (*groupchatv1.Group, error) {
		if err := s.Refuse(tx, caller(ctx).Name); err != nil {
			return nil, err
		}
		if slices.Contains(paths, "default_message_type") {
			if err := s.requireType(tx, resource.Parent(req.GetGroup().GetName()), req.GetGroup()); err != nil {
				return nil, err
			}
		}
		return s.Groups.Update(tx, caller(ctx).Name, req.GetGroup(), paths)
	})
}

func (s groups) DeleteGroup(ctx context.Context, req *groupchatv1.DeleteGroupRequest) (*groupchatv1.Group, error) {
	return s.change(ctx, req, func(tx *change.Tx) (*groupchatv1.Group, error) {
		return s.Groups.Delete(tx, req.GetName(), req.GetEtag())
	})
}

func (s groups) UndeleteGroup(ctx context.Context, req *groupchatv1.UndeleteGroupRequest) (*groupchatv1.Group, error) {
	return s.change(ctx, req, func(tx *change.Tx) (*groupchatv1.Group, error) {
		return s.Groups.Undelete(tx, req.GetName(), req.GetEtag())
	})
}

// CreateMember asks identity whether the account is there before it is added.
func (s groups) CreateMember(ctx context.Context, req *groupchatv1.CreateMemberRequest) (*groupchatv1.Member, error) {
	account := req.GetMember().GetAccount()
	if _, err := group.Name.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if _, err := group.MemberOf(req.GetParent(), account); err != nil {
		return nil, err
	}
	if err := s.Account(ctx, account); err != nil {
		return nil, err
	}
	who, err := s.actor(ctx, "groupchat.members.create", req.GetParent(), nil)
	if err != nil {
		return nil, err
	}
	if req.GetMember().GetRole() >= groupchatv1.MemberRole_MEMBER_ROLE_ADMIN {
		if err := s.Appointed(ctx, account, req.GetParent()); err != nil {
			return nil, err
		}
	}
	return do(ctx, s.Server, req, groupOfMember, func(tx *change.Tx) (*groupchatv1.Member, error) {
		if err := s.Refuse(tx, account, who.Account); err != nil {
			return nil, err
		}
		return s.Groups.CreateMember(tx, req.GetParent(), who, req.GetMember())
	})
}

func (s groups) GetMember(ctx context.Context, req *groupchatv1.GetMemberRequest) (*groupchatv1.Member, error) {
	return read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.Member, error) {
		return s.Groups.GetMember(r, req.GetName())
	})
}

func (s groups) ListMembers(ctx context.Context, req *groupchatv1.ListMembersRequest) (*groupchatv1.ListMembersResponse, error) {
	items, next, err := list(ctx, s.Server, pageOf{
		size: req.GetPageSize(), token: req.GetPageToken(), query: []string{"ListMembers", req.GetParent()},
	}, func(r kv.Reader, after []byte, limit int) ([]*groupchatv1.Member, []byte, error) {
		return s.Groups.ListMembers(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &groupchatv1.ListMembersResponse{Members: items, NextPageToken: next}, nil
}

func (s groups) UpdateMember(ctx context.Context, req *groupchatv1.UpdateMemberRequest) (*groupchatv1.Member, error) {
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetMember(), "role", "nickname")
	if err != nil {
		return nil, err
	}
	who, err := s.actor(ctx, "groupchat.members.update", resource.Parent(req.GetMember().GetName()), nil)
	if err != nil {
		return nil, err
	}
	if slices.Contains(paths, "role") {
		if err := s.promotion(ctx, req.GetMember()); err != nil {
			return nil, err
		}
	}
	return do(ctx, s.Server, req, groupOfMember, func(tx *change.Tx) (*groupchatv1.Member, error) {
		return s.Groups.UpdateMember(tx, who, req.GetMember(), paths)
	})
}

// promotion refuses to make a member run the group who has to be appointed
// first. It asks before the change, because a transaction asks nobody: an
// appointment that ends in between is heard of by its event.
func (s groups) promotion(ctx context.Context, to *groupchatv1.Member) error {
	if to.GetRole() < groupchatv1.MemberRole_MEMBER_ROLE_ADMIN {
		return nil
	}
	m, err := read(ctx, s.Server, func(r kv.Reader) (*groupchatv1.Member, error) {
		return s.Groups.GetMember(r, to.GetName())
	})
	if err != nil || m.GetRole() >= groupchatv1.MemberRole_MEMBER_ROLE_ADMIN {
		return err
	}
	return s.Appointed(ctx, m.GetAccount(), resource.Parent(to.GetName()))
}

func (s groups) DeleteMember(ctx context.Context, req *groupchatv1.DeleteMemberRequest) (*groupchatv1.Member, error) {
	who, err := s.actor(ctx, "groupchat.members.delete", resource.Parent(req.GetName()), nil)
	if err != nil {
		return nil, err
	}
	return do(ctx, s.Server, req, groupOfMember, func(tx *change.Tx) (*groupchatv1.Member, error) {
		return s.Groups.DeleteMember(tx, who, req.GetName(), req.GetEtag())
	})
}
