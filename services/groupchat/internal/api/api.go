// Package api is service groupchat's gRPC surface: it turns requests into
// calls of the centres (group, message, taxonomy) and their results into responses, and
// serves the live streams.
//
// Callers are authenticated, authorised and validated before they get here. The
// permissions of messages vary by their types: Server.Values says which types a
// request may be about, and handlers go no further than authz.ScopeOf says.
// What depends on the caller's own membership (sending, recalling, leaving) is
// asked of the centres.
package api

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/subjectdata"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/groupchat/internal/group"
	"guildhall.dev/services/groupchat/internal/intent"
	"guildhall.dev/services/groupchat/internal/live"
	"guildhall.dev/services/groupchat/internal/message"
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// Server answers all RPCs of the service. Its fields are all required.
type Server struct {
	Store   kv.Store
	Journal *change.Journal
	// Sends are the lanes of messages and recalls, one an organisation: those of
	// one group meet in its head, and those of two in the organisation's audit
	// chains.
	Sends    *change.Lanes
	Pages    *page.Codec
	Groups   *group.Groups
	Messages *message.Messages
	Types    *taxonomy.Taxonomy
	Intents  *intent.Deliverer
	Hub      *live.Hub
	// Checker answers what a list or an open stream has to ask about its
	// caller.
	Checker authz.Checker
	// Account returns nil when an account exists and can be a member: Invalid
	// (ACCOUNT_INVALID) or Unavailable otherwise.
	Account func(ctx context.Context, name string) error
	// Appointed returns nil when an account may be made an administrator of a
	// group, and Precondition (APPOINTMENT_NEEDED) when customers have to be
	// told first.
	Appointed func(ctx context.Context, account, group string) error
	// Refuse refuses what names an account that is erased, or merged into another.
	Refuse   func(r kv.Reader, accounts ...string) error
	Subjects *subjectdata.Server
	Events   *feed.Server
	Audit    *audit.Server
	// Heartbeat is the longest silence of a stream, and how often an idle one
	// asks whether its caller may still read.
	Heartbeat time.Duration
}

// Register registers the handlers.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	groupchatv1.RegisterGroupServiceServer(r, groups{s})
	groupchatv1.RegisterMessageServiceServer(r, messages{s})
	groupchatv1.RegisterMessageTypeServiceServer(r, messageTypes{s})
	groupchatv1.RegisterGroupchatSubjectServiceServer(r, subjects{s.Subjects, s.Intents})
	groupchatv1.RegisterGroupChatEventServiceServer(r, s.Events)
	groupchatv1.RegisterGroupChatAuditServiceServer(r, s.Audit)
}

func caller(ctx context.Context) authn.Caller {
	c, _ := authn.FromContext(ctx)
	return c
}

// pageOf says which page of which list is wanted: the request's page fields,
// the method, and whatever else decides what the list holds.
type pageOf struct {
	size  int32
	token string
	query []string
}

// list reads one page. read gets where to start and how many to return.
func list[T any](ctx context.Context, s *Server, p pageOf, read func(r kv.Reader, after []byte, limit int) ([]T, []byte, error)) (items []T, next string, err error) {
	query := page.Fingerprint(append(p.query, caller(ctx).Name)...)
	after, limit, err := s.Pages.Start(page.Request{Size: p.size, Token: p.token}, query)
	if err != nil {
		return nil, "", err
	}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		var last []byte
		if items, last, err = read(r, after, limit); err != nil {
			return err
		}
		next = s.Pages.Next(query, last)
		return nil
	})
	return items, next, err
}

// read runs fn on a snapshot and returns its result.
func read[T any](ctx context.Context, s *Server, fn func(r kv.Reader) (T, error)) (T, error) {
	var out T
	err := s.Store.View(ctx, func(r kv.Reader) (err error) {
		out, err = fn(r)
		return err
	})
	return out, err
}

// actor returns the caller as one who acts on the group, with a permission it
// has on the group. Its membership gives it no rights beyond the group, so only
// for one who is not the owner is there anything to ask.
func (s *Server) actor(ctx context.Context, permission, name string, about *permissionv1.Attributes) (group.Actor, error) {
	a := group.Actor{Account: caller(ctx).Name}
	role, err := read(ctx, s, func(r kv.Reader) (groupchatv1.MemberRole, error) {
		role, _, err := s.Groups.Role(r, name, a.Account)
		return role, err
	})
	if err != nil || role == groupchatv1.MemberRole_MEMBER_ROLE_OWNER {
		return a, err
	}
	a.Enterprise, err = s.may(ctx, permission, caller(ctx).Organization(), about)
	return a, err
}

// may reports whether the caller has a permission on a resource; about is what
// conditions may look at beside the call.
func (s *Server) may(ctx context.Context, permission, name string, about *permissionv1.Attributes) (bool, error) {
	_, err := s.Checker.Check(ctx, authz.Request{
		Caller: caller(ctx), Permission: permission, Resources: []string{name}, Attributes: about, Approval: authz.ApprovalOf(ctx),
	})
	if errs.Is(err, errs.Denied) {
		return false, nil
	}
	return err == nil, err
}

// do makes a change of a group, wakes the group's streams, and waits until
// service permission knows of it.
func do[R proto.Message](ctx context.Context, s *Server, req proto.Message, groupOf func(R) string, fn func(tx *change.Tx) (R, error)) (R, error) {
	resp, err := change.Do(ctx, s.Journal, req, fn)
	if err != nil {
		return resp, err
	}
	name := groupOf(resp)
	s.Hub.Wake(name)
	return resp, s.Intents.Deliver(ctx, name)
}
