package appointment

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// DefaultWindow is the least objection window of an organisation that has set
// none: three days, so that a weekend is not all of it.
const DefaultWindow = 72 * time.Hour

// What stands for something in a template.
const (
	slotAppointee   = "{appointee}"
	slotResource    = "{resource}"
	slotReason      = "{reason}"
	slotDuties      = "{duties}"
	slotImprovement = "{improvement}"
	slotWindowEnd   = "{window_end}"
)

func slots() []string {
	return []string{slotAppointee, slotResource, slotReason, slotDuties, slotImprovement, slotWindowEnd}
}

// template is what customers are told unless the policy says otherwise.
func template() *permissionv1.LocalizedText {
	return &permissionv1.LocalizedText{
		Zh: "尊敬的客户：我们拟请{appointee}担任“{resource}”的管理员。原因：{reason} 职责：{duties} 预期改进：{improvement} 如有异议，请在{window_end}前提出。",
		En: "Dear customer, we intend to make {appointee} an administrator of “{resource}”. Why: {reason} Duties: {duties} What should become better: {improvement} If you object, please say so before {window_end}.",
	}
}

// GetPolicy returns an organisation's policy, the defaults when it has set
// none.
func (s *Appointments) GetPolicy(r kv.Reader, name string) (*permissionv1.AppointmentPolicy, error) {
	rec, err := s.policy(r, name)
	if err != nil {
		return nil, err
	}
	p := proto.CloneOf(rec.Value)
	p.Etag = rec.Etag
	return p, nil
}

func (s *Appointments) policy(r kv.Reader, name string) (kv.Record[*permissionv1.AppointmentPolicy], error) {
	if _, err := Policy.Parse("name", name); err != nil {
		return kv.Record[*permissionv1.AppointmentPolicy]{}, err
	}
	rec, found, err := s.policies.Find(r, kv.Key{kv.String(name)})
	if !found {
		rec.Value = &permissionv1.AppointmentPolicy{
			Name: name, MinObjectionWindow: durationpb.New(DefaultWindow), NoticeTemplate: template(),
		}
	}
	return rec, err
}

// UpdatePolicy changes an organisation's policy; what is cleared has its
// default. Reasons: ETAG_MISMATCH, NOTICE_TEMPLATE_INVALID.
func (s *Appointments) UpdatePolicy(tx *change.Tx, in *permissionv1.AppointmentPolicy, mask *fieldmaskpb.FieldMask) (*permissionv1.AppointmentPolicy, error) {
	paths, err := fieldmask.Paths(mask, in, "min_objection_window", "require_for_groups", "notice_template")
	if err != nil {
		return nil, err
	}
	rec, err := s.policy(tx, in.GetName())
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(in.GetEtag()); err != nil {
		return nil, err
	}
	now := proto.CloneOf(rec.Value)
	for _, path := range paths {
		switch path {
		case "min_objection_window":
			if now.MinObjectionWindow = in.GetMinObjectionWindow(); now.MinObjectionWindow == nil {
				now.MinObjectionWindow = durationpb.New(DefaultWindow)
			}
		case "require_for_groups":
			now.RequireForGroups = in.GetRequireForGroups()
		case "notice_template":
			if now.NoticeTemplate = in.GetNoticeTemplate(); now.NoticeTemplate == nil {
				now.NoticeTemplate = template()
			}
		}
	}
	if err := checkTemplate(now.GetNoticeTemplate()); err != nil {
		return nil, err
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	stored, err := s.policies.Put(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: now.GetName(), Type: "guildhall.permission.appointment_policy.updated.v1",
		ChangedFields: change.ChangedFields(rec.Value, now),
	})
	shown := proto.CloneOf(stored.Value)
	shown.Etag = stored.Etag
	return shown, nil
}

// checkTemplate refuses a text that leaves out what customers are to be told.
func checkTemplate(t *permissionv1.LocalizedText) error {
	for _, slot := range slots() {
		if !strings.Contains(t.GetZh(), slot) || !strings.Contains(t.GetEn(), slot) {
			return errs.InvalidField("appointment_policy.notice_template", "NOTICE_TEMPLATE_INVALID",
				"both texts have "+strings.Join(slots(), ", "))
		}
	}
	return nil
}

// fill returns the text of a notice. Slots in what is filled in stay as they
// are.
func fill(t *permissionv1.LocalizedText, zh, en map[string]string) *permissionv1.LocalizedText {
	replace := func(text string, by map[string]string) string {
		var pairs []string
		for _, slot := range slots() {
			pairs = append(pairs, slot, by[slot])
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
	return &permissionv1.LocalizedText{Zh: replace(t.GetZh(), zh), En: replace(t.GetEn(), en)}
}
