package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// eventClient and auditClient are what the services' own clients have in
// common.
type eventClient interface {
	StreamEvents(ctx context.Context, in *eventv1.StreamEventsRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[eventv1.StreamEventsResponse], error)
}

type auditClient interface {
	ListAuditEntries(ctx context.Context, in *auditv1.ListAuditEntriesRequest, opts ...grpc.CallOption) (*auditv1.ListAuditEntriesResponse, error)
	ExportAuditEntries(ctx context.Context, in *auditv1.ExportAuditEntriesRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[auditv1.AuditEntry], error)
	VerifyAuditChain(ctx context.Context, in *auditv1.VerifyAuditChainRequest, opts ...grpc.CallOption) (*auditv1.VerifyAuditChainResponse, error)
}

func (a *api) events(service string) eventClient {
	conn := a.conn(service)
	return map[string]eventClient{
		"identity":   identityv1.NewIdentityEventServiceClient(conn),
		"permission": permissionv1.NewPermissionEventServiceClient(conn),
		"groupchat":  groupchatv1.NewGroupChatEventServiceClient(conn),
		"feedback":   feedbackv1.NewFeedbackEventServiceClient(conn),
	}[service]
}

func (a *api) audit(service string) auditClient {
	conn := a.conn(service)
	return map[string]auditClient{
		"identity":   identityv1.NewIdentityAuditServiceClient(conn),
		"permission": permissionv1.NewPermissionAuditServiceClient(conn),
		"groupchat":  groupchatv1.NewGroupChatAuditServiceClient(conn),
		"feedback":   feedbackv1.NewFeedbackAuditServiceClient(conn),
	}[service]
}

// journals: each service tells what changed, to whom it may, and keeps who did
// it, in a chain that verifies.
func journals(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		lin := c.hire("lin")
		group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
			Parent: c.name, GroupId: "orders", Group: &groupchatv1.Group{DisplayName: "A name that no event may hold"},
		}))(t)
		c.admin.say(t, group.GetName(), "A text that no event may hold")
		refused(lin.groups.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: group.GetName()}))(t, errs.Denied, "PERMISSION_DENIED")
		survey := need(c.admin.surveys.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{
			Parent: c.name, Survey: &feedbackv1.Survey{DisplayName: "S", Questions: []*feedbackv1.Question{{QuestionId: "q", Text: "?", Kind: feedbackv1.Question_KIND_CSAT}}},
		}))(t)
		c.grant(lin.name, "roles/viewer", c.name)

		wantEvents(t, c, "identity", "guildhall.identity.organization.created.v1", c.name)
		wantEvents(t, c, "permission", "guildhall.permission.grant.created.v1", "")
		cursor := wantEvents(t, c, "groupchat", "guildhall.groupchat.group.created.v1", group.GetName())
		wantEvents(t, c, "feedback", "guildhall.feedback.survey.created.v1", survey.GetName())
		followFeed(t, c, group.GetName(), cursor)
		for _, service := range services[:4] {
			verifyAudit(t, c, service)
		}
		until(t, "the denial is in the audit log", func(ctx context.Context) error {
			return deniedEntry(ctx, c, lin.name, group.GetName())
		})
		exportAudit(t, c)
	})
}

// wantEvents reads a service's feed to its end, wants an event in it, and
// returns the cursor.
func wantEvents(t *testing.T, c *company, service, eventType, subject string) (cursor string) {
	t.Helper()
	found := false
	until(t, service+" tells "+eventType, func(ctx context.Context) error {
		stream, err := c.admin.events(service).StreamEvents(ctx, &eventv1.StreamEventsRequest{Parent: c.name, StopAtEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		for {
			batch, err := stream.Recv()
			if errors.Is(err, io.EOF) && found {
				return nil
			}
			if err != nil {
				return err
			}
			cursor = batch.GetCursor()
			for _, e := range batch.GetEvents() {
				found = found || e.GetType() == eventType && (subject == "" || e.GetSubject() == subject)
				if e.GetOrganization() != c.name || strings.Contains(e.String(), "no event may hold") {
					t.Errorf("an event that must not be here: %v", e)
				}
			}
		}
	})
	return cursor
}

// followFeed goes on from a cursor, live.
func followFeed(t *testing.T, c *company, group, cursor string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := need(c.admin.events("groupchat").StreamEvents(ctx, &eventv1.StreamEventsRequest{
		Parent: c.name, Cursor: cursor, TypePrefixes: []string{"guildhall.groupchat.group."},
	}))(t)
	need(c.admin.groups.DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: group}))(t)
	for {
		batch := need(stream.Recv())(t)
		for _, e := range batch.GetEvents() {
			if e.GetType() != "guildhall.groupchat.group.deleted.v1" || e.GetSubject() != group {
				t.Errorf("got %v, want the deletion of the group", e)
			}
			return
		}
	}
}

func verifyAudit(t *testing.T, c *company, service string) {
	t.Helper()
	result := need(c.admin.audit(service).VerifyAuditChain(t.Context(), &auditv1.VerifyAuditChainRequest{Parent: c.name}))(t)
	if !result.GetIntact() || result.GetEntriesChecked() == 0 || len(result.GetHeads()) == 0 {
		t.Errorf("the audit log of %s: %v", service, result)
	}
}

// deniedEntry returns nil when the audit log has the refusal of a call.
func deniedEntry(ctx context.Context, c *company, actor, resource string) error {
	list, err := c.admin.audit("groupchat").ListAuditEntries(ctx, &auditv1.ListAuditEntriesRequest{Parent: c.name, Filter: `actor = "` + actor + `"`})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list.GetAuditEntries(), func(e *auditv1.AuditEntry) bool {
		return e.GetOutcome() == auditv1.AuditEntry_OUTCOME_DENIED && e.GetResource() == resource && e.GetReason() == "PERMISSION_DENIED" &&
			e.GetAction() == groupchatv1.GroupService_GetGroup_FullMethodName && e.GetRemoteAddress() != ""
	}) {
		return fmt.Errorf("it is not in %v", list.GetAuditEntries())
	}
	return nil
}

// exportAudit wants all entries of identity, each who did it, in the order of
// their chain.
func exportAudit(t *testing.T, c *company) {
	stream := need(c.admin.audit("identity").ExportAuditEntries(t.Context(), &auditv1.ExportAuditEntriesRequest{Parent: c.name}))(t)
	last := map[uint32]uint64{}
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		need(e, err)(t)
		if e.GetActor() == "" || e.GetAction() == "" || e.GetSequence() != last[e.GetChain()]+1 {
			t.Errorf("after entry %d of its chain: %v", last[e.GetChain()], e)
		}
		last[e.GetChain()] = e.GetSequence()
	}
	if len(last) == 0 {
		t.Error("the export is empty")
	}
}
