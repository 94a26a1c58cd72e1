package role

import (
	"slices"
	"strings"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Names of the built-in roles that rules speak of.
const (
	// Admin may do everything within an organisation.
	Admin = "roles/organization.admin"
	// Operator may create and list organisations and grant the like to others;
	// it is granted on authz.Installation.
	Operator = "roles/operator"
	// Staff and Customer are what every member of staff and every customer
	// holds from the start.
	Staff    = "roles/staff"
	Customer = "roles/customer"
	// Self is what every account holds on its own name. It is never granted.
	Self = "roles/self"
)

const builtInPrefix = "roles/"

// builtIn describes one built-in role by patterns of permissions (see
// Catalogue.match), so that a new RPC of a service is in the roles that speak
// of all of it.
type builtIn struct {
	name, title, purpose string
	allow, except        []string
	// custom says that it also has all that an organisation's resource types
	// declare.
	custom bool
	// manager is the service that gives the role to members of its resources.
	manager string
}

// long: a table, one role after the other.
func builtIns() []builtIn {
	member := []string{
		"groupchat.groups.get", "groupchat.members.get", "groupchat.members.list", "groupchat.members.delete",
		"groupchat.messages.create", "groupchat.messages.get", "groupchat.messages.list",
		"groupchat.messages.stream", "groupchat.messages.recall", "groupchat.messages.retype",
		// Who talks with somebody hears what they say, and by which name.
		"data.message.read", "data.identity.read",
	}
	admin := slices.Concat(member, []string{"groupchat.groups.update", "groupchat.members.create", "groupchat.members.update"})
	owner := slices.Concat(admin, []string{"groupchat.groups.delete", "groupchat.groups.undelete"})
	return []builtIn{{
		name: "roles/auditor", title: "Auditor",
		purpose: "Reads and verifies audit logs, and sees who holds which role.",
		allow: []string{
			"*.auditEntries.*", "permission.grants.get", "permission.grants.list", "permission.decisions.list",
			"permission.roles.get", "permission.roles.list", "permission.resourceTypes.get", "permission.resourceTypes.list",
			"permission.checks.explain", "permission.checks.simulate",
			"permission.checks.listResources", "permission.checks.listSubjects", "permission.checks.listPermissions",
		},
	}, {
		name: Customer, title: "Customer",
		purpose: "What every customer may do: answer surveys, and see which types messages have and what consent is asked for.",
		allow: []string{
			"identity.organizations.get", "feedback.surveys.get", "feedback.responses.create",
			"groupchat.messageTypes.get", "groupchat.messageTypes.list",
			"identity.consentPurposes.get", "identity.consentPurposes.list", "identity.consentTexts.list",
		},
	}, {
		name: "roles/customer.service", title: "Customer service",
		purpose: "Looks after customers: their records, groups, surveys and complaints.",
		allow: []string{
			"identity.customers.get", "identity.customers.list", "identity.customers.create", "identity.customers.update",
			"identity.customers.classify", "identity.tagGroups.get", "identity.tagGroups.list", "identity.tags.get", "identity.tags.list",
			"identity.attributeDefinitions.get", "identity.attributeDefinitions.list", "identity.segments.get", "identity.segments.list",
			"identity.segmentMemberships.list", "identity.segmentMemberships.explain",
			"identity.ownerships.get", "identity.ownershipPeriods.list", "identity.ownershipTransfers.list", "identity.ownershipPolicies.get",
			"identity.customers.transitionStage", "identity.stageTransitions.list", "identity.stagePolicies.get",
			"identity.consentPurposes.get", "identity.consentPurposes.list", "identity.consentTexts.list", "identity.consents.*",
			"identity.consentRecords.list", "identity.customers.checkContactable",
			"identity.customers.view", "identity.timelineEvents.list",
			"identity.customers.findDuplicates", "identity.duplicatePairs.list", "identity.duplicateDismissals.*",
			"identity.customers.merge", "identity.mergeRecords.*",
			"identity.interactions.create", "identity.interactions.get", "identity.interactions.list", "identity.interactions.update",
			"identity.interactions.summarize", "identity.interactionPolicies.get",
			"identity.preferences.*", "identity.profilingChoices.*", "identity.preferencePolicies.get", "identity.recommendationRates.list",
			"groupchat.groups.create", "groupchat.groups.get", "groupchat.groups.update",
			"groupchat.members.*", "groupchat.messages.*", "feedback.complaints.*",
			"feedback.surveys.get", "feedback.surveys.list", "feedback.surveys.summarize",
			"feedback.responses.get", "feedback.responses.list",
		},
		// These are for the customer whose complaint it is.
		except: []string{"feedback.complaints.accept", "feedback.complaints.dispute"},
	}, {
		name: "roles/group.admin", title: "Group administrator", manager: "groupchat",
		purpose: "Runs a group: its settings and its members.",
		allow:   admin,
	}, {
		name: "roles/group.member", title: "Group member", manager: "groupchat",
		purpose: "Reads and writes in a group.",
		allow:   member,
	}, {
		name: "roles/group.owner", title: "Group owner", manager: "groupchat",
		purpose: "Runs a group, and may close it.",
		allow:   owner,
	}, {
		name: Operator, title: "Operator",
		purpose: "Runs the installation: creates and lists organisations, and makes others operators. Granted on \"installation\".",
		allow:   []string{"identity.organizations.create", "identity.organizations.list", "permission.grants.create"},
	}, {
		name: Admin, title: "Organisation administrator",
		purpose: "Does everything within an organisation, also with resources of its own types.", custom: true,
		allow:  []string{"identity.*", "permission.*", "groupchat.*", "feedback.*", "data.*"},
		except: []string{"identity.organizations.create", "identity.organizations.list"},
	}, {
		name: Self, title: "Self",
		purpose: "What every account may do with what is its own. Held by all and never granted.",
		allow: []string{
			"permission.checks.explain", "permission.checks.listResources", "permission.checks.listPermissions",
			"identity.customers.get", "identity.timelineEvents.list", "identity.staff.get", "identity.sessions.list", "identity.sessions.revoke",
			"identity.ownerships.get", "identity.ownerships.decline", "identity.ownershipTransfers.list",
			"identity.factors.list", "identity.factors.update",
			"identity.consents.*", "identity.consentRecords.list",
			"identity.preferences.create", "identity.preferences.get", "identity.preferences.list", "identity.preferences.update",
			"identity.preferences.delete", "identity.profilingChoices.*",
			"identity.tasks.list", "identity.taskReports.get", "identity.absences.*",
			"identity.dataSubjectRequests.create", "identity.dataSubjectRequests.get", "identity.dataSubjectRequests.list",
			"identity.dataSubjectRequests.withdraw", "identity.dataSubjectRequests.download",
			"feedback.complaints.create", "feedback.complaints.get", "feedback.complaints.list",
			"feedback.complaints.accept", "feedback.complaints.dispute", "feedback.complaints.withdraw",
			"permission.trainingRecords.get", "permission.trainingRecords.list",
			"permission.appointmentNotices.get", "permission.appointmentNotices.list", "permission.appointmentNotices.acknowledge",
			"permission.appraisals.get", "permission.appraisals.list", "permission.appraisals.appeal",
			"permission.appointmentNotices.object", "permission.appointmentNotices.withdraw",
			"permission.permissionChangeRequests.create", "permission.permissionChangeRequests.get",
			"permission.permissionChangeRequests.list", "permission.permissionChangeRequests.withdraw",
			"permission.notices.get", "permission.notices.list", "permission.notices.acknowledge",
			"permission.accessReviewItems.list", "permission.accessReviewItems.decide",
			"permission.fieldPolicies.preview", "data.*.read",
		},
	}, {
		name: Staff, title: "Staff",
		purpose: "What every member of staff may do: see colleagues, teams and roles.",
		allow: []string{
			"groupchat.messageTypes.get", "groupchat.messageTypes.list",
			"identity.organizations.get", "identity.staff.get", "identity.staff.list", "identity.teams.get",
			"identity.teams.list", "identity.teamMembers.list", "permission.roles.get", "permission.roles.list",
			// Whose business a transfer is, its RPCs find out.
			"identity.ownershipTransfers.create", "identity.ownershipTransfers.get", "identity.ownershipTransfers.accept",
			"identity.ownershipTransfers.decline", "identity.ownershipTransfers.cancel",
			// And whose a task is.
			"identity.tasks.create", "identity.tasks.get", "identity.tasks.update", "identity.tasks.delete", "identity.tasks.complete",
			"identity.tasks.snooze", "identity.tasks.cancel", "identity.tasks.assign", "identity.workingCalendars.get",
			"permission.courses.get", "permission.courses.list", "permission.dutyProfiles.get", "permission.dutyProfiles.list",
			"permission.scorecards.get", "permission.scorecards.list",
		},
	}, {
		name: "roles/viewer", title: "Viewer",
		purpose: "Sees everything but messages.",
		allow:   []string{"*.*.get", "*.*.list"},
		except:  []string{"groupchat.messages.*", "identity.organizations.list", "permission.decisions.list"},
	}}
}

// expand returns the role as the API shows it.
func (b builtIn) expand(c *Catalogue) *permissionv1.Role {
	var names []string
	for _, p := range b.allow {
		names = append(names, c.match(p)...)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		return slices.ContainsFunc(b.except, func(p string) bool { return slices.Contains(c.match(p), name) })
	})
	return &permissionv1.Role{
		Name: b.name, DisplayName: b.title, Description: b.purpose, Permissions: names, BuiltIn: true,
	}
}

// IsBuiltIn reports whether the name is that of a built-in role, known or not.
func IsBuiltIn(name string) bool { return strings.HasPrefix(name, builtInPrefix) }
