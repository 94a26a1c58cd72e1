package chronicle

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

type entry = *identityv1.TimelineEvent

// rule says what the events about one noun of a service are to a timeline.
type rule struct {
	kind identityv1.TimelineEvent_Kind
	// read completes the entry and returns whose it is; nobody's is "".
	read func(e *eventv1.Event, verb string, out entry) (customer string, err error)
}

// rules are all there are, by "service.noun".
func rules() map[string]rule {
	return map[string]rule{
		"identity.account":              {identityv1.TimelineEvent_KIND_ACCOUNT, accountRule},
		"identity.customer":             {identityv1.TimelineEvent_KIND_ACCOUNT, told(mergeRule)},
		"identity.order":                {identityv1.TimelineEvent_KIND_ORDER, told(orderRule)},
		"identity.interaction":          {identityv1.TimelineEvent_KIND_INTERACTION, told(interactionRule)},
		"identity.preference":           {identityv1.TimelineEvent_KIND_PREFERENCE, told(preferenceRule)},
		"identity.profiling_choice":     {identityv1.TimelineEvent_KIND_PREFERENCE, told(choiceRule)},
		"identity.consent":              {identityv1.TimelineEvent_KIND_CONSENT, told(consentRule)},
		"identity.stage":                {identityv1.TimelineEvent_KIND_STAGE, told(stageRule)},
		"identity.ownership":            {identityv1.TimelineEvent_KIND_OWNERSHIP, told(ownershipRule)},
		"identity.ownership_transfer":   {identityv1.TimelineEvent_KIND_OWNERSHIP_TRANSFER, told(transferRule)},
		"identity.task":                 {identityv1.TimelineEvent_KIND_TASK, told(taskRule)},
		"identity.data_subject_request": {identityv1.TimelineEvent_KIND_DATA_SUBJECT_REQUEST, told(requestRule)},
		"identity.delivery":             {identityv1.TimelineEvent_KIND_DELIVERY, told(deliveryRule)},

		"groupchat.member": {identityv1.TimelineEvent_KIND_GROUP_MEMBERSHIP, told(memberRule)},

		"feedback.response":  {identityv1.TimelineEvent_KIND_SURVEY_RESPONSE, responseRule},
		"feedback.complaint": {identityv1.TimelineEvent_KIND_COMPLAINT, complaintRule},

		"permission.grant":              {identityv1.TimelineEvent_KIND_GRANT, told(grantRule)},
		"permission.change_request":     {identityv1.TimelineEvent_KIND_CHANGE_REQUEST, told(changeRule)},
		"permission.notice":             {identityv1.TimelineEvent_KIND_NOTICE, told(noticeRule)},
		"permission.appointment_notice": {identityv1.TimelineEvent_KIND_NOTICE, told(objectionRule)},
		"permission.admin_appointment":  {identityv1.TimelineEvent_KIND_APPOINTMENT, told(appointmentRule)},
	}
}

// told reads the data of an event for a rule, which gets an empty message of an event
// that has none.
func told[T any, M interface {
	*T
	proto.Message
}](fill func(e *eventv1.Event, verb string, data M, out entry) string) func(*eventv1.Event, string, entry) (string, error) {
	return func(e *eventv1.Event, verb string, out entry) (string, error) {
		data := M(new(T))
		if e.GetData() != nil {
			if err := e.GetData().UnmarshalTo(data); err != nil {
				return "", invalid(e, err)
			}
		}
		return fill(e, verb, data, out), nil
	}
}

// customerOf returns the customer whose name a name begins with; "" for none.
func customerOf(name string) string {
	parts := strings.SplitN(name, "/", 5)
	if len(parts) < 4 || parts[2] != "customers" {
		return ""
	}
	return strings.Join(parts[:4], "/")
}

// accountRule reads two messages: a state, or what changed. That a customer was made is
// its create_time, and no event of its own.
func accountRule(e *eventv1.Event, verb string, out entry) (string, error) {
	switch verb {
	case "state_changed":
		return told(func(e *eventv1.Event, _ string, data *identityv1.AccountStateChanged, out entry) string {
			if data.GetCreated() || data.GetState() == "MERGED" { // mergeRule says that
				return ""
			}
			out.State = data.GetState()
			return e.GetSubject()
		})(e, verb, out)
	case "updated":
		return told(func(e *eventv1.Event, _ string, data *identityv1.AccountUpdated, out entry) string {
			classes := []string{"attributes", "tags"}
			if f := data.GetChangedFields(); len(f) > 0 && !slices.ContainsFunc(f, func(name string) bool { return !slices.Contains(classes, name) }) {
				out.Kind = identityv1.TimelineEvent_KIND_CLASSIFICATION
			}
			return e.GetSubject()
		})(e, verb, out)
	}
	return "", nil
}

// mergeRule reads that another account went into a customer, or came out again. What the
// other one had of it is in the same timeline by then, or gone with the other.
func mergeRule(e *eventv1.Event, verb string, data *identityv1.CustomerMerged, out entry) string {
	if e.GetSubject() != data.GetSurvivor() {
		return ""
	}
	out.State = strings.ToUpper(verb)
	return e.GetSubject()
}

// happened sets when an event happened, if its data says so.
func happened(out entry, at *timestamppb.Timestamp) {
	if at != nil {
		out.EventTime = at
	}
}

func orderRule(e *eventv1.Event, verb string, data *identityv1.OrderChanged, out entry) string {
	if verb == "created" {
		happened(out, data.GetOrderTime())
	}
	return customerOf(e.GetSubject())
}

func interactionRule(e *eventv1.Event, verb string, data *identityv1.InteractionChanged, out entry) string {
	if verb == "created" {
		happened(out, data.GetStartTime())
	}
	out.Staff = data.GetStaff()
	return customerOf(e.GetSubject())
}

func consentRule(_ *eventv1.Event, verb string, data *identityv1.ConsentChanged, out entry) string {
	happened(out, data.GetConsentTime())
	out.State = strings.ToUpper(verb)
	return data.GetCustomer()
}

// preferenceRule leaves out what is gone: a conclusion that fades is no event either.
func preferenceRule(_ *eventv1.Event, _ string, data *identityv1.PreferenceChanged, _ entry) string {
	return data.GetCustomer()
}

func choiceRule(_ *eventv1.Event, _ string, data *identityv1.ProfilingChoiceChanged, out entry) string {
	if out.State = "OPTED_IN"; data.GetOptedOut() {
		out.State = "OPTED_OUT"
	}
	return data.GetCustomer()
}

func stageRule(e *eventv1.Event, _ string, data *identityv1.StageTransitioned, out entry) string {
	out.State = strings.TrimPrefix(data.GetToStage().String(), "LIFECYCLE_STAGE_")
	return e.GetSubject()
}

func ownershipRule(_ *eventv1.Event, _ string, data *identityv1.OwnershipChanged, out entry) string {
	out.Resource, out.Staff = data.GetCustomer()+"/ownership", data.GetOwner()
	return data.GetCustomer()
}

func transferRule(_ *eventv1.Event, _ string, data *identityv1.OwnershipTransferChanged, out entry) string {
	out.Staff = data.GetToOwner()
	return data.GetCustomer()
}

func taskRule(_ *eventv1.Event, verb string, data *identityv1.TaskChanged, out entry) string {
	if verb == "reminded" { // nobody did anything
		return ""
	}
	out.Staff = data.GetAssignee()
	return data.GetCustomer()
}

func requestRule(e *eventv1.Event, _ string, data *identityv1.DataSubjectRequestChanged, out entry) string {
	out.State = data.GetState()
	return customerOf(e.GetSubject())
}

// deliveryRule takes what became of a message, and not that it was to be sent.
func deliveryRule(_ *eventv1.Event, _ string, data *identityv1.DeliveryStateChanged, out entry) string {
	if !slices.Contains([]string{"SENT", "BOUNCED", "SUPPRESSED", "FAILED"}, data.GetState()) {
		return ""
	}
	out.State = data.GetState()
	return data.GetAccount()
}

func memberRule(_ *eventv1.Event, _ string, data *groupchatv1.MemberChanged, _ entry) string {
	return data.GetAccount()
}

func responseRule(e *eventv1.Event, verb string, out entry) (string, error) {
	if verb != "created" { // that it was erased is no news of the customer
		return "", nil
	}
	return told(func(_ *eventv1.Event, _ string, data *feedbackv1.ResponseCreated, _ entry) string {
		return data.GetRespondent()
	})(e, verb, out)
}

func complaintRule(e *eventv1.Event, verb string, out entry) (string, error) {
	if verb == "erased" || verb == "moved" { // no news of the customer, and other data
		return "", nil
	}
	return told(func(_ *eventv1.Event, _ string, data *feedbackv1.ComplaintChanged, out entry) string {
		out.State = data.GetTo()
		return customerOf(e.GetSubject())
	})(e, verb, out)
}

// grantRule leaves out what comes with a membership in a group, of which the group
// tells.
func grantRule(_ *eventv1.Event, _ string, data *permissionv1.GrantChanged, _ entry) string {
	if strings.HasPrefix(data.GetRole(), "roles/group.") {
		return ""
	}
	return data.GetSubject()
}

func changeRule(_ *eventv1.Event, _ string, data *permissionv1.ChangeRequestChanged, out entry) string {
	out.State = data.GetTo()
	return data.GetSubject()
}

func noticeRule(e *eventv1.Event, _ string, _ *permissionv1.NoticeChanged, _ entry) string {
	return customerOf(e.GetSubject())
}

func objectionRule(e *eventv1.Event, _ string, data *permissionv1.AppointmentNoticeChanged, out entry) string {
	out.State = data.GetObjection()
	return customerOf(e.GetSubject())
}

func appointmentRule(_ *eventv1.Event, _ string, data *permissionv1.AdminAppointmentChanged, out entry) string {
	out.State = data.GetState()
	return data.GetAppointee()
}
