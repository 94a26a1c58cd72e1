package e2e

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// tour is the walk through all four services that README.md describes.
func tour(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		importCustomers(t, c)
		lin := c.hire("lin")
		group := openGroup(t, c, lin)
		chen := addPeople(t, c, lin, group)
		talk(t, c, lin, chen, group)
		survey(t, c, chen)
		complain(t, c, lin, chen)
	})
}

// importCustomers imports a file with faults, twice.
func importCustomers(t *testing.T, c *company) {
	created, failed, unchanged, updated := identityv1.ImportCustomersResponse_RESULT_CREATED, identityv1.ImportCustomersResponse_RESULT_FAILED,
		identityv1.ImportCustomersResponse_RESULT_UNCHANGED, identityv1.ImportCustomersResponse_RESULT_UPDATED
	first := upload(t, c, "services/all/e2e/testdata/customers.csv")
	want := []identityv1.ImportCustomersResponse_Result{created, created, failed, unchanged, created, created, created, failed, updated}
	if len(first) != len(want) {
		t.Fatalf("the import has %d results, want %d: %v", len(first), len(want), first)
	}
	for i, result := range first {
		wants(t, "the result of the line", result.GetResult(), want[i])
		wants(t, "its number", result.GetLine(), int64(i+2))
	}
	wants(t, "the reason", first[2].GetReason(), "EXTERNAL_ID_MISSING")
	wants(t, "the column", first[2].GetColumn(), "CustomerID")
	again := upload(t, c, "services/all/e2e/testdata/customers.csv")
	wants(t, "a repeated line", again[1].GetResult(), unchanged)
	wants(t, "the customer", again[1].GetCustomer(), first[1].GetCustomer())

	found := need(c.admin.customers.ListCustomers(t.Context(), &identityv1.ListCustomersRequest{
		Parent: c.name, Filter: `country = "中国"`,
	}))(t).GetCustomers()
	if len(found) != 1 || found[0].GetExternalId() != "12431" {
		t.Errorf("customers of China: %v", found)
	}
	pages, seen := 0, map[string]bool{}
	for token := ""; pages == 0 || token != ""; pages++ {
		page := need(c.admin.customers.ListCustomers(t.Context(), &identityv1.ListCustomersRequest{Parent: c.name, PageSize: 2, PageToken: token}))(t)
		for _, customer := range page.GetCustomers() {
			seen[customer.GetExternalId()] = true
		}
		token = page.GetNextPageToken()
	}
	if len(seen) != 5 || pages != 3 {
		t.Errorf("%d customers on %d pages: %v", len(seen), pages, seen)
	}
}

// upload imports a file of the repository and returns the result of each line.
func upload(t *testing.T, c *company, path string) []*identityv1.ImportCustomersResponse {
	t.Helper()
	stream := need(c.admin.customers.ImportCustomers(t.Context()))(t)
	send := func(req *identityv1.ImportCustomersRequest) {
		if err := stream.Send(req); err != nil {
			t.Fatalf("sending the file: %v", err)
		}
	}
	send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{Options: &identityv1.ImportOptions{
		Parent: c.name, Columns: map[string]string{"CustomerID": "external_id", "Country": "country"},
	}}})
	for piece := range slices.Chunk([]byte(mustRead(t, path)), 7) { // cut anywhere
		send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Data{Data: piece}})
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var results []*identityv1.ImportCustomersResponse
	for {
		result, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return results
		}
		results = append(results, need(result, err)(t))
	}
}

// openGroup has lin open a group, which a role of its team allows.
func openGroup(t *testing.T, c *company, lin *person) string {
	create := &groupchatv1.CreateGroupRequest{
		Parent: c.name, GroupId: "orders", Group: &groupchatv1.Group{DisplayName: "订单 orders"}, RequestId: newID("req"),
	}
	refused(lin.groups.CreateGroup(t.Context(), create))(t, errs.Denied, "PERMISSION_DENIED")
	team := need(c.admin.teams.CreateTeam(t.Context(), &identityv1.CreateTeamRequest{
		Parent: c.name, TeamId: "sales", Team: &identityv1.Team{DisplayName: "销售 sales"},
	}))(t)
	need(c.admin.teams.CreateTeamMember(t.Context(), &identityv1.CreateTeamMemberRequest{
		Parent: team.GetName(), TeamMember: &identityv1.TeamMember{Account: lin.name},
	}))(t)
	role := need(c.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
		Parent: c.name, RoleId: "clerk",
		Role: &permissionv1.Role{DisplayName: "Clerk", Permissions: []string{"groupchat.groups.create", "identity.customers.get"}},
	}))(t)
	c.grant(team.GetName(), role.GetName(), c.name)
	group := eventually(t, "the team's grant reaches its member", func(ctx context.Context) (*groupchatv1.Group, error) {
		return lin.groups.CreateGroup(ctx, create)
	})
	wants(t, "the group", group.GetName(), c.name+"/groups/orders")
	wants(t, "its owner", group.GetOwner(), lin.name)
	again := need(lin.groups.CreateGroup(t.Context(), create))(t)
	wants(t, "the etag of the retry", again.GetEtag(), group.GetEtag())
	return group.GetName()
}

// addPeople adds the customer chen as a member and the clerk wei as an
// administrator, who then does what members cannot.
func addPeople(t *testing.T, c *company, lin *person, group string) (chen *person) {
	chen, wei := c.enrol("chen"), c.hire("wei")
	get := &groupchatv1.GetGroupRequest{Name: group}
	refused(chen.groups.GetGroup(t.Context(), get))(t, errs.Denied, "PERMISSION_DENIED")
	added := need(lin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: group, Member: &groupchatv1.Member{Account: chen.name},
	}))(t)
	wants(t, "the member", added.GetName(), group+"/members/customer-chen")
	wants(t, "its role", added.GetRole(), groupchatv1.MemberRole_MEMBER_ROLE_MEMBER)
	need(chen.groups.GetGroup(t.Context(), get))(t) // the call above has returned, so: now

	need(lin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: group, Member: &groupchatv1.Member{Account: wei.name},
	}))(t)
	rename := &groupchatv1.UpdateGroupRequest{
		Group: &groupchatv1.Group{Name: group, DisplayName: "Orders"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	}
	refused(wei.groups.UpdateGroup(t.Context(), rename))(t, errs.Denied, "PERMISSION_DENIED")
	need(lin.groups.UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
		Member:     &groupchatv1.Member{Name: group + "/members/staff-wei", Role: groupchatv1.MemberRole_MEMBER_ROLE_ADMIN},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"role"}},
	}))(t)
	wants(t, "the new name", need(wei.groups.UpdateGroup(t.Context(), rename))(t).GetDisplayName(), "Orders")
	members := need(chen.groups.ListMembers(t.Context(), &groupchatv1.ListMembersRequest{Parent: group}))(t).GetMembers()
	wants(t, "how many members there are", len(members), 3)
	mine := need(chen.groups.ListGroups(t.Context(), &groupchatv1.ListGroupsRequest{Parent: c.name}))(t).GetGroups()
	if len(mine) != 1 || mine[0].GetName() != group || mine[0].GetMemberCount() != 3 {
		t.Errorf("chen's groups: %v", mine)
	}
	return chen
}

// talk sends messages both ways while both listen, breaks one stream off and
// resumes it, and recalls a message.
func talk(t *testing.T, c *company, lin, chen *person, group string) {
	here, there := c.listen(t, lin, group, 0), c.listen(t, chen, group, 0)
	lin.say(t, group, "您好！ Hello.")
	there.expect(1, "您好！ Hello.")
	second := chen.say(t, group, "Where is my order?")
	here.expect(1, "您好！ Hello.")
	here.expect(2, "Where is my order?")
	there.expect(2, "Where is my order?")
	there.close()
	for _, text := range []string{"Let me look.", "On its way.", "Tomorrow."} {
		lin.say(t, group, text)
	}
	for _, resumed := range []*listener{c.listen(t, chen, group, 2), c.listenSSE(t, chen, group, 2)} {
		for i, text := range []string{"Let me look.", "On its way.", "Tomorrow."} {
			resumed.expect(int64(3+i), text)
		}
	}
	refused(chen.messages.RecallMessage(t.Context(), &groupchatv1.RecallMessageRequest{Name: group + "/messages/3"}))(t, errs.Denied, "NOT_SENDER")
	need(chen.messages.RecallMessage(t.Context(), &groupchatv1.RecallMessageRequest{Name: second.GetName()}))(t)
	here.expectRecall(2)
	gone := need(lin.messages.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: second.GetName()}))(t)
	if gone.GetText() != "" || gone.GetRecallTime() == nil || gone.GetRecaller() != chen.name {
		t.Errorf("the recalled message: %v", gone)
	}
	page := need(chen.messages.ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: group, PageSize: 2}))(t)
	if m := page.GetMessages(); len(m) != 2 || m[0].GetSequence() != 5 || m[1].GetSequence() != 4 || page.GetNextPageToken() == "" {
		t.Errorf("the newest messages: %v", page)
	}
}

// survey asks chen, counts the answer and closes.
func survey(t *testing.T, c *company, chen *person) {
	made := need(c.admin.surveys.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{
		Parent: c.name, SurveyId: "delivery", Survey: &feedbackv1.Survey{DisplayName: "Your delivery", Questions: []*feedbackv1.Question{
			{QuestionId: "overall", Text: "How satisfied are you?", Kind: feedbackv1.Question_KIND_CSAT, Required: true},
			{QuestionId: "why", Text: "Why?", Kind: feedbackv1.Question_KIND_TEXT},
		}},
	}))(t)
	answer := &feedbackv1.CreateResponseRequest{Parent: made.GetName(), Response: &feedbackv1.Response{Answers: []*feedbackv1.Answer{
		{QuestionId: "overall", Value: &feedbackv1.Answer_Rating{Rating: 5}},
		{QuestionId: "why", Value: &feedbackv1.Answer_Text{Text: "很快"}},
	}}}
	refused(chen.surveys.CreateResponse(t.Context(), answer))(t, errs.Precondition, "SURVEY_NOT_ACTIVE")
	need(c.admin.surveys.PublishSurvey(t.Context(), &feedbackv1.PublishSurveyRequest{Name: made.GetName(), Etag: made.GetEtag()}))(t)
	response := need(chen.surveys.CreateResponse(t.Context(), answer))(t)
	wants(t, "the respondent", response.GetRespondent(), chen.name)
	refused(chen.surveys.CreateResponse(t.Context(), answer))(t, errs.Exists, "RESPONSE_EXISTS")
	sum := need(c.admin.surveys.SummarizeSurvey(t.Context(), &feedbackv1.SummarizeSurveyRequest{Name: made.GetName()}))(t)
	if q := sum.GetQuestions(); sum.GetResponseCount() != 1 || len(q) != 1 || q[0].GetScore() != 1 || q[0].GetScoreLow() <= 0 || q[0].GetScoreLow() >= 1 {
		t.Errorf("the summary: %v", sum)
	}
	refused(chen.surveys.SummarizeSurvey(t.Context(), &feedbackv1.SummarizeSurveyRequest{Name: made.GetName()}))(t, errs.Denied, "PERMISSION_DENIED")
}

// complain carries a complaint from filing to close.
func complain(t *testing.T, c *company, lin, chen *person) {
	ctx := t.Context()
	filed := need(chen.complaints.CreateComplaint(ctx, &feedbackv1.CreateComplaintRequest{
		Parent: chen.name, ComplaintId: "late", Complaint: &feedbackv1.Complaint{
			Subject: "Late", Verbatim: "It came a week late.", Channel: feedbackv1.Complaint_CHANNEL_ONLINE,
		},
	}))(t)
	name := filed.GetName()
	refused(lin.complaints.AcknowledgeComplaint(ctx, &feedbackv1.AcknowledgeComplaintRequest{Name: name}))(t, errs.Denied, "PERMISSION_DENIED")
	c.grant(lin.name, "roles/customer.service", c.name)
	need(lin.complaints.AcknowledgeComplaint(ctx, &feedbackv1.AcknowledgeComplaintRequest{Name: name, Etag: filed.GetEtag()}))(t)
	refused(lin.complaints.CloseComplaint(ctx, &feedbackv1.CloseComplaintRequest{Name: name, Cause: "x"}))(t, errs.Precondition, "ILLEGAL_STATE")
	need(lin.complaints.InvestigateComplaint(ctx, &feedbackv1.InvestigateComplaintRequest{Name: name, Severity: feedbackv1.Complaint_SEVERITY_MEDIUM}))(t)
	need(lin.complaints.CommunicateComplaint(ctx, &feedbackv1.CommunicateComplaintRequest{
		Name: name, Finding: feedbackv1.Complaint_FINDING_UPHELD, Resolution: "We are sorry; the freight is refunded.",
	}))(t)
	refused(lin.complaints.AcceptComplaint(ctx, &feedbackv1.AcceptComplaintRequest{Name: name, Note: "on the phone"}))(t, errs.Denied, "PERMISSION_DENIED")
	need(chen.complaints.AcceptComplaint(ctx, &feedbackv1.AcceptComplaintRequest{Name: name}))(t)
	closed := need(lin.complaints.CloseComplaint(ctx, &feedbackv1.CloseComplaintRequest{Name: name, Cause: "carrier"}))(t)
	wants(t, "the state", closed.GetState(), feedbackv1.Complaint_STATE_CLOSED)
	seen := need(lin.complaints.GetComplaint(ctx, &feedbackv1.GetComplaintRequest{Name: name}))(t)
	if len(seen.GetHistory()) != 6 || seen.GetOwner() != lin.name || !strings.HasPrefix(seen.GetReference(), "C-") {
		t.Errorf("the complaint: %v", seen)
	}
	told := need(chen.complaints.GetComplaint(ctx, &feedbackv1.GetComplaintRequest{Name: name}))(t)
	if told.GetResolution() == "" || told.GetReference() != seen.GetReference() {
		t.Errorf("the complaint, as the customer sees it: %v", told)
	}
}
