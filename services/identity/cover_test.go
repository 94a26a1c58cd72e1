package identity_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// permission answers CheckCover: all is covered but the targets named, and what
// is denied to those named with denied; and checks: yes to all but what is named
// with lacking. It hears who may act and what is in the
// feed, and answers questions of standing.
type permission struct {
	mu     sync.Mutex
	exceed map[string]bool
	away   bool
	heard  int // how often it has come by all that is in the feed
	deaf   int // it does not from the n-th time on; 0 never
	asked  []*permissionv1.CheckCoverRequest
	states map[string]*permissionv1.SetStandingRequest
	ended  map[string]bool // sessions
	erased map[string]int  // how often each was asked for
	failed int             // how many erasures and exports fail from now on
	moved  []string        // what was moved, "groupchat c2 > c1", and back
	still  int             // how many moves fail from now on
	unseen map[string]bool // resources of which batches of checks are answered no
	hidden map[string]bool // "class resource" that is not disclosed
	feeds  map[string]*sisterFeed
}

// set says who holds more than all others, and whether the service is away.
func (s *permission) set(away bool, exceed ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.exceed, s.asked = away, make(map[string]bool), nil
	for _, name := range exceed {
		s.exceed[name] = true
	}
}

// denied names to set a target to whom more is denied than others hold.
func denied(target string) string { return "denied to " + target }

// lacking names to set a permission that nobody holds whom identity asks about.
func lacking(permission string) string { return "lacking " + permission }

// goDeafAfter lets the service come by the feed so many times more; negative is
// without end.
func (s *permission) goDeafAfter(times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = 0
	if times >= 0 {
		s.deaf = s.heard + times + 1
	}
}

func (s *permission) timesHeard() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

func (s *permission) questions() []*permissionv1.CheckCoverRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *permission) Invoke(_ context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "a part of the suite is away")
	}
	switch req := args.(type) {
	case *permissionv1.CatchUpRequest:
		if s.deaf > 0 && s.heard+1 >= s.deaf {
			return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "identity cannot be heard")
		}
		s.heard++
		return nil
	case *permissionv1.SetStandingRequest:
		s.hear(req)
		return nil
	case *permissionv1.EndSessionsRequest:
		for _, e := range req.GetSessions() {
			s.ended[req.GetAccount()+"/sessions/"+e.GetSession()] = true
		}
		return nil
	case *permissionv1.CheckCoverRequest:
		s.cover(req, reply.(proto.Message))
		return nil
	case *subjectv1.EraseSubjectRequest:
		return s.erase(method, req.GetSubject(), reply.(*subjectv1.EraseSubjectResponse))
	case *subjectv1.MoveSubjectRequest:
		return s.moveSubject(method, req, reply.(*subjectv1.MoveSubjectResponse))
	case *subjectv1.ExportSubjectRequest:
		return s.export(method, req, reply.(*subjectv1.ExportSubjectResponse))
	case *permissionv1.CheckRequest:
		result := &permissionv1.CheckResult{Allowed: !s.exceed[lacking(req.GetQuery().GetPermission())]}
		if !result.GetAllowed() {
			result.Denial = permissionv1.Denial_DENIAL_NO_GRANT
		}
		reply.(*permissionv1.CheckResponse).Result = result
		return nil
	case *permissionv1.BatchCheckRequest:
		s.checkEach(req, reply.(*permissionv1.BatchCheckResponse))
		return nil
	case *permissionv1.DiscloseRequest:
		s.disclose(req, reply.(*permissionv1.DiscloseResponse))
		return nil
	default:
		return errors.New("identity does not call permission's " + method)
	}
}

func (s *permission) cover(req *permissionv1.CheckCoverRequest, reply proto.Message) {
	s.asked = append(s.asked, req)
	answer := &permissionv1.CheckCoverResponse{Covered: true}
	if target := req.GetSubject(); s.exceed[target] && !req.GetDenied() || s.exceed[denied(target)] && req.GetDenied() {
		answer = &permissionv1.CheckCoverResponse{Permission: "permission.grants.create", Resource: org}
	}
	proto.Merge(reply, answer)
}

// NewStream opens the feed of a sister that a test has given it; the others are away.
func (s *permission) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[strings.Split(method, ".")[1]] // "/guildhall.groupchat.v1.…"
	if f == nil || s.away {
		return nil, errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "a part of the suite is away")
	}
	return &feedStream{ctx: ctx, feed: f, sent: make(chan *eventv1.StreamEventsResponse)}, nil
}

// TestCreateInvitation_isNoWayIntoALargerAccount is the takeover: a member of
// staff who may only invite resets the administrator and becomes it.
func TestCreateInvitation_isNoWayIntoALargerAccount(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		chief := p.asAdmin()
		clerk := with(p.accept(chief, p.staffMember(chief, "clerk", &identityv1.StaffMember{DisplayName: "Clerk"}).GetName()))
		invite := func(ctx context.Context, account string) error {
			_, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: account, ResetPassword: true})
			return err
		}
		p.permission.set(false, admin)
		err := invite(clerk, admin)
		wantError(t, err, errs.Denied, "TARGET_EXCEEDS_CALLER")
		if got := errs.From(err).Metadata["permission"]; got != "permission.grants.create" {
			t.Errorf("the refusal names permission %q", got)
		}
		if asked := p.permission.questions(); len(asked) != 1 || asked[0].GetParent() != org || asked[0].GetActor() != org+"/staff/clerk" {
			t.Errorf("permission was asked %v", asked)
		}
		p.permission.set(true)
		wantError(t, invite(clerk, admin), errs.Unavailable, "PERMISSION_UNAVAILABLE")
		// Neither attempt has touched the account.
		if _, err := p.auth().WhoAmI(chief, &identityv1.WhoAmIRequest{}); err != nil {
			t.Errorf("the administrator's session: %v", err)
		}
		login := &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword}
		if _, err := p.auth().Login(context.Background(), login); err != nil {
			t.Errorf("the administrator's password: %v", err)
		}
		// Nobody needs to ask about himself.
		p.permission.set(false, admin)
		if err := invite(chief, admin); err != nil {
			t.Errorf("one's own account: %v", err)
		}
	})
}

// TestCreateTeamMember_isNoWayIntoALargerTeam is the same by way of a team.
func TestCreateTeamMember_isNoWayIntoALargerTeam(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	chief := p.asAdmin()
	name := p.staffMember(chief, "clerk", &identityv1.StaffMember{DisplayName: "Clerk"}).GetName()
	clerk := with(p.accept(chief, name))
	bosses, err := p.teams().CreateTeam(chief, &identityv1.CreateTeamRequest{Parent: org, TeamId: "bosses", Team: &identityv1.Team{DisplayName: "Bosses"}})
	if err != nil {
		t.Fatal(err)
	}
	join := func() error {
		_, err := p.teams().CreateTeamMember(clerk, &identityv1.CreateTeamMemberRequest{
			Parent: bosses.GetName(), TeamMember: &identityv1.TeamMember{Account: name},
		})
		return err
	}
	p.permission.set(false, bosses.GetName())
	wantError(t, join(), errs.Denied, "TARGET_EXCEEDS_CALLER")
	p.permission.set(true)
	wantError(t, join(), errs.Unavailable, "PERMISSION_UNAVAILABLE")
	if resp, err := p.teams().ListTeamMembers(chief, &identityv1.ListTeamMembersRequest{Parent: bosses.GetName()}); err != nil || len(resp.GetTeamMembers()) != 0 {
		t.Errorf("members: %v %v", resp, err)
	}
	p.permission.set(false)
	if err := join(); err != nil {
		t.Errorf("a team that holds no more: %v", err)
	}
}

func TestAccount_nobodyLocksHimselfOut(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	chief := p.asAdmin()
	customer, tokens := p.customer(chief, &identityv1.Customer{DisplayName: "Carl"})
	_, err := p.staff().DisableStaffMember(chief, &identityv1.DisableStaffMemberRequest{Name: admin})
	wantError(t, err, errs.Precondition, "SELF_FORBIDDEN")
	_, err = p.staff().DeleteStaffMember(chief, &identityv1.DeleteStaffMemberRequest{Name: admin})
	wantError(t, err, errs.Precondition, "SELF_FORBIDDEN")
	_, err = p.customers().DisableCustomer(with(tokens), &identityv1.DisableCustomerRequest{Name: customer.GetName()})
	wantError(t, err, errs.Precondition, "SELF_FORBIDDEN")
	_, err = p.customers().DeleteCustomer(with(tokens), &identityv1.DeleteCustomerRequest{Name: customer.GetName()})
	wantError(t, err, errs.Precondition, "SELF_FORBIDDEN")
	if _, err := p.customers().DisableCustomer(chief, &identityv1.DisableCustomerRequest{Name: customer.GetName()}); err != nil {
		t.Errorf("another's account: %v", err)
	}
}
