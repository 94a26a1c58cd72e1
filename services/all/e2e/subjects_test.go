package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *person) rights() identityv1.DataSubjectRequestServiceClient {
	return identityv1.NewDataSubjectRequestServiceClient(p.conn("identity"))
}

// wish makes a request about a person's own data, and waits until the suite has done
// what it does about it.
func (p *person) wish(t *testing.T, kind identityv1.DataSubjectRequest_Kind, watch *person) *identityv1.DataSubjectRequest {
	t.Helper()
	q := need(p.rights().CreateDataSubjectRequest(t.Context(), &identityv1.CreateDataSubjectRequestRequest{
		Parent: p.name, DataSubjectRequest: &identityv1.DataSubjectRequest{Kind: kind},
	}))(t)
	until(t, "all services have answered "+kind.String(), func(ctx context.Context) (err error) {
		if q, err = watch.rights().GetDataSubjectRequest(ctx, &identityv1.GetDataSubjectRequestRequest{Name: q.GetName()}); err != nil {
			return err
		}
		if q.GetState() != identityv1.DataSubjectRequest_STATE_FULFILLED {
			return fmt.Errorf("it is %s", q.GetState())
		}
		return nil
	})
	return q
}

// subjectRights: a customer sees all that the services keep of it, and nothing of
// others; and once it is erased, nobody does.
//
// long: one customer's traces in four services.
func subjectRights(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		lin, chen := c.hire("lin"), c.enrol("chen")
		group := openGroup(t, c, lin)
		need(lin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: group, Member: &groupchatv1.Member{Account: chen.name}}))(t)
		lin.say(t, group, "We write this.")
		said := chen.say(t, group, "Where is my lantern?")
		complaint := need(chen.complaints.CreateComplaint(t.Context(), &feedbackv1.CreateComplaintRequest{
			Parent: chen.name, Complaint: &feedbackv1.Complaint{Subject: "Late", Verbatim: "My lantern came late.", Channel: feedbackv1.Complaint_CHANNEL_ONLINE},
		}))(t)
		need(c.admin.rights().UpdateDataSubjectPolicy(t.Context(), &identityv1.UpdateDataSubjectPolicyRequest{
			DataSubjectPolicy: &identityv1.DataSubjectPolicy{Name: c.name + "/dataSubjectPolicy", GracePeriod: durationpb.New(0)},
		}))(t)

		q := chen.wish(t, identityv1.DataSubjectRequest_KIND_ACCESS, chen)
		download := &identityv1.DownloadSubjectDataRequest{Name: q.GetName()}
		mine := strings.Join(need(downloaded(chen.rights().DownloadSubjectData(t.Context(), download)))(t), "\n")
		for _, want := range []string{
			"identity customers", "chen@customer.example", "groupchat members", "groupchat messages", "Where is my lantern?",
			"feedback complaints", "My lantern came late.", "permission grants", group,
		} {
			if !strings.Contains(mine, want) {
				t.Errorf("there is no %q in what is kept of the customer:\n%s", want, mine)
			}
		}
		if strings.Contains(mine, "We write this.") {
			t.Error("there is what somebody else wrote")
		}
		refused(downloaded(lin.rights().DownloadSubjectData(t.Context(), download)))(t, errs.Denied, "PERMISSION_DENIED")

		erased := chen.wish(t, identityv1.DataSubjectRequest_KIND_ERASE, c.admin)
		wants(t, "how many services have given a receipt", len(erased.GetErasure().GetReceipts()), 4)
		left := need(lin.messages.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: said.GetName()}))(t)
		if left.GetText()+left.GetSender() != "" || left.GetEraseTime() == nil {
			t.Errorf("what is left of the message: %v", left)
		}
		file := need(c.admin.complaints.GetComplaint(t.Context(), &feedbackv1.GetComplaintRequest{Name: complaint.GetName()}))(t)
		wants(t, "what is left of the complaint's words", file.GetSubject()+file.GetVerbatim(), "")
		refused(downloaded(c.admin.rights().DownloadSubjectData(t.Context(), download)))(t, errs.Precondition, "SUBJECT_DATA_EXPIRED")
		if _, err := chen.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}); err == nil {
			t.Error("an erased customer is logged in")
		}
	})
}

// downloaded reads a download to its end, as "service kind record".
func downloaded(stream interface {
	Recv() (*identityv1.DownloadSubjectDataResponse, error)
}, err error) (out []string, _ error) {
	for err == nil {
		var resp *identityv1.DownloadSubjectDataResponse
		if resp, err = stream.Recv(); err == nil {
			out = append(out, fmt.Sprint(resp.GetService(), " ", resp.GetKind(), " ", resp.GetRecord()))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return out, err
}
