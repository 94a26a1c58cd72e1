package request

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// listed is how many permissions of a role a notice names.
const listed = 8

// text collects the two languages of a notice, line by line.
type text struct{ zh, en strings.Builder }

func (t *text) line(zh, en string) {
	t.zh.WriteString(zh + "\n")
	t.en.WriteString(en + "\n")
}

func (t *text) local() *permissionv1.LocalText {
	return &permissionv1.LocalText{ZhCn: strings.TrimSpace(t.zh.String()), En: strings.TrimSpace(t.en.String())}
}

// explainGrant says what a grant that was made, or has ended, means to its
// subject: what it may do now, the limits, training and support, and what the
// approvers had to say.
func (s *Requests) explainGrant(r kv.Reader, mv *mover, g *permissionv1.Grant, ended bool) (explanation, error) {
	given, err := s.Roles.Get(r, g.GetRole())
	if err != nil && !errs.Is(err, errs.NotFound) {
		return explanation{}, err
	}
	title := given.GetDisplayName()
	if title == "" {
		title = g.GetRole()
	}
	var t text
	if ended {
		t.line("角色“"+title+"”已收回，范围："+g.GetResource()+"。", "The role "+title+" on "+g.GetResource()+" has ended.")
		t.line("限制：您不能再通过此授权进行任何操作；其他授权不受影响。",
			"Limits: this grant lets you do nothing any more; others are as they were.")
	} else {
		names, err := s.Roles.Expand(r, organizationOf(mv.v.GetName()), given)
		if err != nil {
			return explanation{}, err
		}
		explainScope(&t, title, given.GetDescription(), names, g)
	}
	explainSupport(&t, mv)
	heading := &permissionv1.LocalText{ZhCn: "权限已变更：新增角色“" + title + "”", En: "Your permissions changed: " + title + " was granted"}
	if ended {
		heading = &permissionv1.LocalText{ZhCn: "权限已变更：角色“" + title + "”已收回", En: "Your permissions changed: " + title + " has ended"}
	}
	return explanation{title: heading, body: t.local()}, nil
}

// explainScope says what a new grant gives and where it ends.
func explainScope(t *text, title, purpose string, names []string, g *permissionv1.Grant) {
	t.line("已授予角色“"+title+"”，对象："+g.GetSubject()+"。", "The role "+title+" was granted to "+g.GetSubject()+".")
	if purpose != "" {
		t.line("用途："+purpose, "What it is for: "+purpose)
	}
	shown := strings.Join(names[:min(len(names), listed)], ", ")
	if more := len(names) - listed; more > 0 {
		t.line(fmt.Sprintf("可执行的操作：%s 等 %d 项。", shown, len(names)), fmt.Sprintf("What it allows: %s and %d more.", shown, more))
	} else {
		t.line("可执行的操作："+shown+"。", "What it allows: "+shown+".")
	}
	t.line("限制：仅限 "+g.GetResource()+" 及其下级资源；不得转授他人。",
		"Limits: only on "+g.GetResource()+" and what is below it; it is not yours to pass on.")
	if at := g.GetExpireTime(); at != nil {
		t.line("有效期至 "+inBeijing(at)+"。", "It ends at "+inUTC(at)+".")
	} else {
		t.line("长期有效，直至收回。", "It has no end until it is revoked.")
	}
	if c := g.GetCondition(); c != nil {
		name := c.GetTitle()
		if name == "" {
			name = c.GetExpression()
		}
		t.line("使用条件："+name+"。", "It counts only when: "+name+".")
	}
}

// explainSupport says where to learn and whom to ask, and what the approvers
// said in their own words.
func explainSupport(t *text, mv *mover) {
	zh, en := mv.policy.GetSupport().GetZhCn(), mv.policy.GetSupport().GetEn()
	if zh == "" {
		zh = "首次使用前请完成所在岗位的培训；如有疑问，请联系贵机构的管理员。"
	}
	if en == "" {
		en = "Complete the training of your post before you first use it; your organisation's administrators help with questions."
	}
	t.line("培训与支持："+zh, "Training and support: "+en)
	for _, a := range mv.v.GetApprovals() {
		if a.GetWords() != "" {
			t.line("审批人留言："+a.GetWords(), "The approver says: "+a.GetWords())
		}
	}
	t.line("请阅读后确认。", "Please acknowledge that you have read this.")
}

// explainApproval says what a second person's approval lets its subject do.
func explainApproval(v *permissionv1.PermissionChangeRequest, p *permissionv1.ApprovalPolicy) explanation {
	a := v.GetApproval()
	var t text
	t.line("已批准对 "+a.GetResource()+" 执行操作 "+a.GetPermission()+"。", "You may do "+a.GetPermission()+" on "+a.GetResource()+".")
	t.line("限制：仅限上述操作与资源，有效期至 "+inBeijing(v.GetApprovedUntil())+"。",
		"Limits: only this, and until "+inUTC(v.GetApprovedUntil())+".")
	if a.GetSingleUse() {
		t.line("仅可使用一次。", "It can be used once.")
	}
	explainSupport(&t, &mover{v: v, policy: p})
	return explanation{
		title: &permissionv1.LocalText{ZhCn: "操作申请已获批准", En: "Your request for approval was granted"}, body: t.local(),
	}
}

// explainRejection tells a requester why nothing changes.
func explainRejection(note string) explanation {
	var t text
	t.line("您的权限变更申请未获批准，现有权限保持不变。", "Your request to change permissions was turned down; what was granted stays as it is.")
	t.line("原因："+note, "Why: "+note)
	t.line("如有新的理由，可以重新提交申请。", "If there are new reasons, file another request.")
	return explanation{
		title: &permissionv1.LocalText{ZhCn: "权限变更申请未获批准", En: "Your request was turned down"}, body: t.local(),
	}
}

func inUTC(at *timestamppb.Timestamp) string { return at.AsTime().Format("2006-01-02 15:04 UTC") }

// inBeijing writes a time as people in China read it. The offset has been fixed
// since 1991, and a container may lack the zone's file.
func inBeijing(at *timestamppb.Timestamp) string {
	return at.AsTime().In(time.FixedZone("CST", 8*60*60)).Format("2006年1月2日 15:04（北京时间）")
}
