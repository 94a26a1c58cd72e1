package groupchat_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/groupchat"
)

const (
	acme  = "organizations/acme"
	boss  = acme + "/staff/boss" // may do anything in the organisation
	clerk = acme + "/staff/clerk"
	bo    = acme + "/staff/bo"
	mei   = acme + "/customers/mei"
	li    = acme + "/customers/li"
	rival = "organizations/rival/staff/spy"
)

// directory is an identity that knows everybody but "nobody".
type directory struct {
	identityv1.CustomerServiceServer
	identityv1.StaffServiceServer
}

func state(name string) (identityv1.AccountState, error) {
	switch {
	case strings.HasSuffix(name, "/nobody"):
		return 0, errs.NotFoundName("CUSTOMER_NOT_FOUND", name)
	case strings.HasSuffix(name, "/gone"):
		return identityv1.AccountState_ACCOUNT_STATE_DELETED, nil
	}
	return identityv1.AccountState_ACCOUNT_STATE_ACTIVE, nil
}

func (directory) GetCustomer(_ context.Context, req *identityv1.GetCustomerRequest) (*identityv1.Customer, error) {
	s, err := state(req.GetName())
	return &identityv1.Customer{Name: req.GetName(), State: s}, err
}

func (directory) GetStaffMember(_ context.Context, req *identityv1.GetStaffMemberRequest) (*identityv1.StaffMember, error) {
	s, err := state(req.GetName())
	return &identityv1.StaffMember{Name: req.GetName(), State: s}, err
}

// world is the service with its sisters.
type world struct {
	*servetest.Server
	setting
}

// replica serves another process over the same store, beside the same sisters.
func (w *world) replica(t testing.TB) *world { return start(t, w.setting) }

// setting is what a test wants other than the default.
type setting struct {
	servetest.Options
	permission *permission // nil is a fresh one
	config     func(*groupchat.Config)
}

func start(t testing.TB, with setting) *world {
	t.Helper()
	if with.permission == nil {
		with.permission = newPermission()
	}
	if with.StoreURL == "" {
		if with.Engine == "" {
			with.Engine = "bolt"
		}
		with.StoreURL = testkit.StoreURL(t, with.Engine)
		with.Ring = must(seal.New())(t)
	}
	if with.May == nil {
		with.May = with.permission.may
	}
	if with.Sisters == nil {
		with.Sisters = map[string]grpc.ClientConnInterface{}
	}
	if with.Sisters["identity"] == nil {
		with.Sisters["identity"] = servetest.Sister(t, func(r grpc.ServiceRegistrar) {
			identityv1.RegisterCustomerServiceServer(r, directory{})
			identityv1.RegisterStaffServiceServer(r, directory{})
		})
	}
	with.Sisters["permission"] = servetest.Sister(t, with.permission.register)
	build := func(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
		b := groupchat.Builder()
		if with.config != nil {
			with.config(b.Config.(*groupchat.Config))
		}
		return b.Build(ctx, kit)
	}
	return &world{Server: servetest.Start(t, "groupchat", build, with.Options), setting: with}
}

// eachEngine runs test against the service on both engines.
func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, start(t, setting{Options: servetest.Options{Engine: engine}})) })
	}
}

func (w *world) groups(t testing.TB, account string) groupchatv1.GroupServiceClient {
	return groupchatv1.NewGroupServiceClient(w.As(t, account))
}

func (w *world) messages(t testing.TB, account string) groupchatv1.MessageServiceClient {
	return groupchatv1.NewMessageServiceClient(w.As(t, account))
}

// group creates a group that clerk owns, with these plain members.
func (w *world) group(t testing.TB, id string, members ...string) string {
	t.Helper()
	c := w.groups(t, clerk)
	g := must(c.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: acme, GroupId: id, Group: &groupchatv1.Group{DisplayName: "Orders of " + id},
	}))(t)
	for _, m := range members {
		w.add(t, g.GetName(), m, 0)
	}
	return g.GetName()
}

// add has clerk add a member.
func (w *world) add(t testing.TB, group, account string, role groupchatv1.MemberRole) *groupchatv1.Member {
	t.Helper()
	return must(w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: group, Member: &groupchatv1.Member{Account: account, Role: role},
	}))(t)
}

// say has account send a text.
func (w *world) say(t testing.TB, group, account, text string) *groupchatv1.Message {
	t.Helper()
	return must(w.messages(t, account).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: group, Message: &groupchatv1.Message{Text: text},
	}))(t)
}

const (
	plain = groupchatv1.MemberRole_MEMBER_ROLE_MEMBER
	admin = groupchatv1.MemberRole_MEMBER_ROLE_ADMIN
	owner = groupchatv1.MemberRole_MEMBER_ROLE_OWNER
)

// memberName is the name of an account's membership.
func memberName(group, account string) string {
	kind := "staff-"
	if strings.Contains(account, "/customers/") {
		kind = "customer-"
	}
	return group + "/members/" + kind + account[strings.LastIndex(account, "/")+1:]
}

// must returns the value of a call that may not fail.
func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantErr fails unless err has the kind and the reason, and the field when one
// is given.
func wantErr(t testing.TB, err error, kind errs.Kind, reason string, field ...string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Fatalf("got %v, want %s with reason %s", err, kind, reason)
	}
	if len(field) > 0 {
		if v := errs.From(err).Violations; len(v) == 0 || v[0].Field != field[0] {
			t.Fatalf("got violations %v, want one of %s", v, field[0])
		}
	}
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock on.
func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func redisClient(t testing.TB, server *testkit.RedisServer) redis.UniversalClient {
	t.Helper()
	options := must(redis.ParseURL(server.URL))(t)
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond, 500*time.Millisecond
	c := redis.NewClient(options)
	t.Cleanup(func() { c.Close() })
	return c
}
