package chronicle

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Need is a permission on a resource.
type Need struct{ Permission, Resource string }

// Needs returns what somebody has to hold to see an event, all of it: what the RPC asks
// for that reads what the event is about. Of a kind that is not known it is nil, and
// nobody sees the event.
func Needs(e *identityv1.TimelineEvent) []Need {
	customer := resource.Parent(e.GetName())
	on := func(name string, permissions ...string) (out []Need) {
		for _, p := range permissions {
			out = append(out, Need{p, name})
		}
		return out
	}
	switch e.GetKind() {
	case identityv1.TimelineEvent_KIND_ACCOUNT, identityv1.TimelineEvent_KIND_CLASSIFICATION:
		return on(customer, "identity.customers.get")
	case identityv1.TimelineEvent_KIND_ORDER:
		return on(e.GetResource(), "identity.orders.get")
	case identityv1.TimelineEvent_KIND_INTERACTION:
		if isReview(e) {
			return on(e.GetResource(), "identity.interactions.get", "identity.interactions.review")
		}
		return on(e.GetResource(), "identity.interactions.get")
	case identityv1.TimelineEvent_KIND_CONSENT:
		return on(customer, "identity.consents.list")
	case identityv1.TimelineEvent_KIND_PREFERENCE:
		if strings.HasSuffix(e.GetResource(), "/profilingChoice") {
			return on(e.GetResource(), "identity.profilingChoices.get")
		}
		return on(e.GetResource(), "identity.preferences.get")
	case identityv1.TimelineEvent_KIND_STAGE:
		return on(customer, "identity.stageTransitions.list")
	case identityv1.TimelineEvent_KIND_OWNERSHIP:
		return on(e.GetResource(), "identity.ownerships.get")
	case identityv1.TimelineEvent_KIND_OWNERSHIP_TRANSFER:
		return on(customer, "identity.ownershipTransfers.list")
	case identityv1.TimelineEvent_KIND_TASK:
		return on(resource.Parent(customer), "identity.tasks.list")
	case identityv1.TimelineEvent_KIND_DATA_SUBJECT_REQUEST:
		return on(e.GetResource(), "identity.dataSubjectRequests.get")
	case identityv1.TimelineEvent_KIND_DELIVERY:
		return on(e.GetResource(), "identity.deliveries.get")
	default:
		return foreignNeeds(e, on)
	}
}

// foreignNeeds is Needs for what other services have.
func foreignNeeds(e *identityv1.TimelineEvent, on func(string, ...string) []Need) []Need {
	switch e.GetKind() {
	case identityv1.TimelineEvent_KIND_GROUP_MEMBERSHIP:
		return on(e.GetResource(), "groupchat.members.get")
	case identityv1.TimelineEvent_KIND_SURVEY_RESPONSE:
		return on(e.GetResource(), "feedback.responses.get")
	case identityv1.TimelineEvent_KIND_COMPLAINT:
		return on(e.GetResource(), "feedback.complaints.get")
	case identityv1.TimelineEvent_KIND_GRANT:
		return on(e.GetResource(), "permission.grants.get")
	case identityv1.TimelineEvent_KIND_CHANGE_REQUEST:
		return on(e.GetResource(), "permission.permissionChangeRequests.get")
	case identityv1.TimelineEvent_KIND_NOTICE:
		if strings.HasPrefix(e.GetType(), "guildhall.permission.appointment_notice.") {
			return on(e.GetResource(), "permission.appointmentNotices.get")
		}
		return on(e.GetResource(), "permission.notices.get")
	case identityv1.TimelineEvent_KIND_APPOINTMENT:
		return on(e.GetResource(), "permission.adminAppointments.get")
	}
	return nil
}

func isReview(e *identityv1.TimelineEvent) bool {
	return e.GetType() == "guildhall.identity.interaction.reviewed.v1"
}

// Own returns an event as its customer may have it: nil of what is the staff's own, and
// of others who looks after it alone.
func Own(e *identityv1.TimelineEvent) *identityv1.TimelineEvent {
	switch {
	case e.GetKind() == identityv1.TimelineEvent_KIND_TASK, e.GetKind() == identityv1.TimelineEvent_KIND_OWNERSHIP_TRANSFER, isReview(e):
		return nil
	case e.GetKind() == identityv1.TimelineEvent_KIND_OWNERSHIP || e.GetStaff() == "":
		return e
	}
	out := proto.CloneOf(e)
	out.Staff = ""
	return out
}
