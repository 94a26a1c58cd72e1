package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// faults are the tests that break things, one after the other, when the bodies
// are done.
func faults(t *testing.T, s *suite) {
	t.Run("kill -9 while messages are sent", func(t *testing.T) { killWhileSending(t, s) })
	if s.redis != nil {
		t.Run("one replica killed", func(t *testing.T) { killOneReplica(t, s) })
		t.Run("Redis stopped", func(t *testing.T) { stopRedis(t, s) })
	}
	t.Run("started in odd orders", func(t *testing.T) { startInOddOrders(t, s) })
	if len(s.specs) > 1 {
		t.Run("permission stopped", func(t *testing.T) { stopPermission(t, s) })
		t.Run("identity stopped", func(t *testing.T) { stopIdentity(t, s) })
	}
}

// chat is a group of two.
type chat struct {
	*company
	chen  *person
	group string
}

func (s *suite) openChat(t *testing.T, d door) *chat {
	t.Helper()
	c := s.found(t, d)
	ch := &chat{company: c, chen: c.enrol("chen")}
	ch.group = need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: c.name, GroupId: "g", Group: &groupchatv1.Group{DisplayName: "G"},
	}))(t).GetName()
	need(c.admin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: ch.group, Member: &groupchatv1.Member{Account: ch.chen.name},
	}))(t)
	return ch
}

// persist sends a message until it is acknowledged, always with one request_id,
// as a phone does.
func (c *chat) persist(t testing.TB, p *person, text string) *groupchatv1.Message {
	t.Helper()
	var said *groupchatv1.Message
	req := &groupchatv1.CreateMessageRequest{Parent: c.group, Message: &groupchatv1.Message{Text: text}, RequestId: newID("req")}
	until(t, "the message is acknowledged", func(ctx context.Context) (err error) {
		said, err = p.messages.CreateMessage(ctx, req)
		if err != nil && !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.Canceled) {
			t.Fatalf("sending %q: %v", text, err)
		}
		return err
	})
	return said
}

// killWhileSending kills the service twice while two people write and two
// listen. What was acknowledged is there once, in order, and the listeners miss
// nothing.
func killWhileSending(t *testing.T, s *suite) {
	const each = 40
	c := s.openChat(t, grpcDoor)
	first := need(c.admin.messages.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: c.group, Message: &groupchatv1.Message{Text: "first"}, RequestId: "first",
	}))(t)
	acknowledged := make(chan *groupchatv1.Message, 2*each)
	var writers sync.WaitGroup
	for _, who := range []*person{c.admin, c.chen} {
		writers.Go(func() {
			for i := range each {
				acknowledged <- c.persist(t, who, fmt.Sprintf("%s %d", who.name, i))
			}
		})
	}
	go func() {
		writers.Wait()
		close(acknowledged)
	}()
	followed := []<-chan []string{c.follow(t, c.chen, 2*each+1), c.follow(t, c.through(httpDoor, c.chen), 2*each+1)}
	got := map[int64]string{1: "first"}
	for i := range 2 * each {
		m, more := <-acknowledged
		if !more {
			t.Fatal("a message was not acknowledged")
		}
		got[m.GetSequence()] = m.GetText()
		if i == each/2 || i == each {
			s.kill(s.homeOf("groupchat")...)
			s.start(s.homeOf("groupchat")...)
		}
	}
	again := need(c.admin.messages.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: c.group, Message: &groupchatv1.Message{Text: "first"}, RequestId: "first",
	}))(t)
	wants(t, "the message of the retry", again.GetName(), first.GetName())
	if len(got) != 2*each+1 {
		t.Errorf("%d messages have %d numbers", 2*each+1, len(got))
	}
	for _, texts := range followed {
		for i, text := range <-texts {
			wants(t, fmt.Sprintf("message %d, as it was followed", i+1), text, got[int64(i+1)])
		}
	}
}

// follow reads a group's first n messages as a phone does: when the stream
// breaks off, it goes on after the last message it has.
func (c *chat) follow(t testing.TB, p *person, n int) <-chan []string {
	out := make(chan []string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	go func() {
		var texts []string
		defer func() { out <- texts }()
		for len(texts) < n && ctx.Err() == nil {
			stream, err := p.messages.StreamMessages(ctx, &groupchatv1.StreamMessagesRequest{Parent: c.group, AfterSequence: int64(len(texts))})
			for err == nil && len(texts) < n {
				var step *groupchatv1.StreamMessagesResponse
				if step, err = stream.Recv(); err != nil {
					break
				}
				if m := step.GetMessage(); m != nil {
					if m.GetSequence() != int64(len(texts)+1) {
						t.Errorf("after message %d comes %d", len(texts), m.GetSequence())
					}
					texts = append(texts, m.GetText())
				}
			}
		}
		if len(texts) < n {
			t.Errorf("only %d of %d messages came", len(texts), n)
		}
	}()
	return out
}

// killOneReplica: the other goes on, and a revocation still holds.
func killOneReplica(t *testing.T, s *suite) {
	c := s.openChat(t, grpcDoor)
	stream := c.listen(t, c.chen, c.group, 0)
	c.persist(t, c.admin, "before")
	stream.expect(1, "before")
	s.kill("permission-2", "groupchat-2")
	c.persist(t, c.admin, "after")
	resumed := c.listenAgain(t, c.chen, c.group, 1)
	resumed.expect(2, "after")
	lin := c.hire("lin")
	g := c.grant(lin.name, "roles/viewer", c.name)
	need(lin.customers.ListCustomers(t.Context(), &identityv1.ListCustomersRequest{Parent: c.name}))(t)
	until(t, "the revocation returns", func(ctx context.Context) error {
		_, err := c.admin.grants.DeleteGrant(ctx, &permissionv1.DeleteGrantRequest{Name: g.GetName()})
		if errs.Is(err, errs.NotFound) {
			return nil // the first try took effect; its answer was lost
		}
		return err
	})
	refused(lin.customers.ListCustomers(t.Context(), &identityv1.ListCustomersRequest{Parent: c.name}))(t, errs.Denied, "PERMISSION_DENIED")
	s.start("permission-2", "groupchat-2")
}

// listenAgain opens a stream as soon as the service is there.
func (c *chat) listenAgain(t testing.TB, p *person, group string, after int64) *listener {
	t.Helper()
	until(t, "the group can be read", func(ctx context.Context) error {
		_, err := p.groups.GetGroup(ctx, &groupchatv1.GetGroupRequest{Name: group})
		return err
	})
	return c.listen(t, p, group, after)
}

// stopRedis: everything works without it, revocations too, and with it again.
func stopRedis(t *testing.T, s *suite) {
	c := s.openChat(t, httpDoor)
	stream := c.listen(t, c.chen, c.group, 0)
	s.redis.Stop()
	c.admin.say(t, c.group, "without Redis")
	stream.expect(1, "without Redis")
	t.Run("revocation", func(t *testing.T) { revokeGrant(t, c.company) })
	s.redis.Start()
	c.admin.say(t, c.group, "with Redis")
	stream.expect(2, "with Redis")
	s.redis.Pause()
	c.admin.say(t, c.group, "while Redis hangs")
	stream.expect(3, "while Redis hangs")
	s.redis.Resume()
	for _, name := range s.names() {
		out, code := run(t, "health", "--admin.address="+s.processes[name].admin)
		if code != 0 {
			t.Errorf("%s is not ready: %s", name, out)
		}
	}
}

// startInOddOrders: who comes first waits for the others, and all come ready.
func startInOddOrders(t *testing.T, s *suite) {
	c := s.openChat(t, grpcDoor)
	c.admin.say(t, c.group, "kept")
	backwards, shifted := s.names(), s.names()
	slices.Reverse(backwards)
	shifted = append(shifted[len(shifted)/2:], shifted[:len(shifted)/2]...)
	for _, order := range [][]string{backwards, shifted} {
		s.kill(order...)
		for i, name := range order {
			s.processes[name] = spawn(s.t, s.specs[name])
			if i > 0 {
				s.processes[order[0]].alive() // waiting for another is no reason to end
			}
		}
		for _, name := range order {
			s.processes[name].awaitReady()
		}
	}
	stream := c.listenAgain(t, c.chen, c.group, 0)
	stream.expect(1, "kept")
	c.persist(t, c.chen, "and on")
	stream.expect(2, "and on")
}

// stopPermission: nobody is let in while nobody can say who may.
func stopPermission(t *testing.T, s *suite) {
	chats := []*chat{s.openChat(t, grpcDoor), s.openChat(t, httpDoor)}
	s.kill(s.homeOf("permission")...)
	var stolen []*person
	for _, c := range chats {
		stolen = append(stolen, c.endWithoutPermission(t))
		refused(c.admin.organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{Name: c.name}))(t, errs.Unavailable, "PERMISSION_UNAVAILABLE")
		refused(c.chen.messages.ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: c.group}))(t, errs.Unavailable, "PERMISSION_UNAVAILABLE")
		refused(c.chen.messages.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
			Parent: c.group, Message: &groupchatv1.Message{Text: "x"},
		}))(t, errs.Unavailable, "PERMISSION_UNAVAILABLE")
		need(c.login(c.admin.name))(t) // needs no permission
	}
	s.start(s.homeOf("permission")...)
	for i, c := range chats {
		c.persist(t, c.chen, "back")
		until(t, "permission hears of the session that ended meanwhile", func(ctx context.Context) error {
			// One replica may know before the other does, since nobody has been told yet
			// that the session is ended everywhere.
			for range 8 {
				if err := stolen[i].calls()["groupchat"](ctx); errs.ReasonOf(err) != "SESSION_ENDED" {
					return fmt.Errorf("got %w", err)
				}
			}
			return nil
		})
		stolen[i].mayNotAct(t, "SESSION_ENDED")
		// Streams that outlived the restart are told of changes again.
		streams := c.streams(t, c.as(need(c.login(c.admin.name))(t)))
		need(c.admin.auth.RevokeSession(t.Context(), &identityv1.RevokeSessionRequest{Name: c.admin.name + "/sessions/-"}))(t)
		end(t, streams, errs.Unauthenticated, "SESSION_ENDED")
	}
}

// stopIdentity: who is logged in goes on talking.
func stopIdentity(t *testing.T, s *suite) {
	c := s.openChat(t, httpDoor)
	c.persist(t, c.chen, "before")
	s.kill("identity")
	for range replicas {
		c.persist(t, c.chen, "meanwhile")
	}
	_, err := c.login(c.admin.name)
	refused("", err)(t, errs.Unavailable, "")
	s.start("identity")
	until(t, "people can log in again", func(context.Context) error {
		_, err := c.login(c.admin.name)
		return err
	})
}
