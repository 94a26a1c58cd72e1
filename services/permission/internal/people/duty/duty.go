// Package duty holds what people have to do and compares it with what they may
// do: a duty, then the information that it needs, then the role that gives
// exactly that. Which grants there are is package grant's business; this one
// says which of them a duty calls for.
//
// An assignment of a duty, and each grant that its duty calls for:
//
//	AssignDuty --> ASSIGNED --EndDuty--> gone, with the grants made for it
//
//	MISSING --ApplyProposal (reason, expiry and duty filled in)--> HELD
//	HELD --the grant ends, or is deleted--> MISSING
//	HELD --the profile or the assignment no longer calls for it--> OUTSIDE_DUTY
//
// The second machine is not stored: it is what comparing comes to at the moment,
// so that it cannot be out of date.
//
// A grant counts for an item when it gives the item's role on its resource or
// above. A wider one than the duty calls for counts, and is outside the duty
// all the same: least privilege is the narrow one.
package duty

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Forms of names.
const (
	Profile    = resource.Pattern("organizations/{organization}/dutyProfiles/{duty_profile}")
	Assignment = resource.Pattern("organizations/{organization}/dutyAssignments/{duty_assignment}")
)

// Indexes of assignments.
const (
	byFact    = "fact"    // organisation, subject, profile, scope; unique
	byProfile = "profile" // profile
)

// Duties are the duties of all organisations. It is safe for concurrent use.
//
//	duty_profiles            organisation, id -> DutyProfile
//	duty_assignments         organisation, id -> DutyAssignment
type Duties struct {
	profiles    *shelf.Shelf[*permissionv1.DutyProfile]
	assignments *shelf.Shelf[*permissionv1.DutyAssignment]
	roles       *role.Roles
	grants      *grant.Grants
}

// New returns the duties that the store holds.
func New(roles *role.Roles, grants *grant.Grants) *Duties {
	return &Duties{
		roles: roles, grants: grants,
		profiles: shelf.New(shelf.Config[*permissionv1.DutyProfile]{
			Noun: "duty_profile", Table: "duty_profiles", Names: []resource.Pattern{Profile},
			Mutable: []string{"display_name", "description", "items"},
		}),
		assignments: shelf.New(shelf.Config[*permissionv1.DutyAssignment]{
			Noun: "duty_assignment", Table: "duty_assignments", Names: []resource.Pattern{Assignment},
			Indexes: []kv.Index[*permissionv1.DutyAssignment]{{
				Name: byFact, Unique: true, Reason: "DUTY_ASSIGNED", Field: "duty_assignment",
				Keys: func(a *permissionv1.DutyAssignment) []kv.Key {
					return []kv.Key{{
						kv.String(resource.Parent(a.GetName())), kv.String(a.GetSubject()),
						kv.String(a.GetDutyProfile()), kv.String(a.GetScope()),
					}}
				},
			}, {
				Name: byProfile,
				Keys: func(a *permissionv1.DutyAssignment) []kv.Key { return []kv.Key{{kv.String(a.GetDutyProfile())}} },
			}},
			Data: func(a *permissionv1.DutyAssignment) proto.Message {
				return &permissionv1.DutyAssignmentChanged{
					Subject: a.GetSubject(), DutyProfile: a.GetDutyProfile(), Scope: a.GetScope(),
				}
			},
		}),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (d *Duties) Tables() []string { return append(d.profiles.Tables(), d.assignments.Tables()...) }

// CreateProfile stores a new profile. Reasons: DUTY_PROFILE_EXISTS,
// ROLE_NOT_FOUND, DUTY_RESOURCE_INVALID.
func (d *Duties) CreateProfile(tx *change.Tx, parent, id string, in *permissionv1.DutyProfile) (*permissionv1.DutyProfile, error) {
	return d.profiles.Create(tx, parent, id, in, func(p *permissionv1.DutyProfile) error { return d.checkItems(tx, p) })
}

// GetProfile returns a profile. Reasons: DUTY_PROFILE_NOT_FOUND.
func (d *Duties) GetProfile(r kv.Reader, name string) (*permissionv1.DutyProfile, error) {
	return d.profiles.Get(r, name)
}

// ListProfiles returns a page of an organisation's profiles, by name.
func (d *Duties) ListProfiles(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.DutyProfile, []byte, error) {
	return d.profiles.List(r, shelf.Page(shelf.Below(parent), after, limit))
}

// UpdateProfile changes a profile. Reasons: DUTY_PROFILE_NOT_FOUND,
// ETAG_MISMATCH, ROLE_NOT_FOUND, DUTY_RESOURCE_INVALID.
func (d *Duties) UpdateProfile(tx *change.Tx, in *permissionv1.DutyProfile, mask *fieldmaskpb.FieldMask) (*permissionv1.DutyProfile, error) {
	return d.profiles.Update(tx, in, mask, func(_, now *permissionv1.DutyProfile) error { return d.checkItems(tx, now) })
}

// DeleteProfile deletes a profile that nobody has. Reasons:
// DUTY_PROFILE_NOT_FOUND, DUTY_PROFILE_IN_USE, ETAG_MISMATCH.
func (d *Duties) DeleteProfile(tx *change.Tx, name, etag string) (*permissionv1.DutyProfile, error) {
	return d.profiles.Delete(tx, name, etag, func(*permissionv1.DutyProfile) error {
		used, err := d.assignments.Any(tx, kv.Query{Index: byProfile, Prefix: kv.Key{kv.String(name)}})
		if used {
			return errs.New(errs.Precondition, "DUTY_PROFILE_IN_USE", "somebody has this duty; end it first", errs.Meta("resource", name))
		}
		return err
	})
}

// Assign gives an account or a team a duty. Reasons: DUTY_ASSIGNED,
// DUTY_PROFILE_NOT_FOUND, SUBJECT_INVALID, RESOURCE_FOREIGN.
func (d *Duties) Assign(tx *change.Tx, parent, id, creator string, in *permissionv1.DutyAssignment) (*permissionv1.DutyAssignment, error) {
	return d.assignments.Create(tx, parent, id, in, func(a *permissionv1.DutyAssignment) error {
		if s := a.GetSubject(); !subject.IsAccount(s) && !subject.IsTeam(s) || subject.OrganizationOf(s) != parent {
			return errs.InvalidField("duty_assignment.subject", "SUBJECT_INVALID", "name an account or a team of this organisation")
		}
		if !grant.IsResourceOf(parent, a.GetScope()) {
			return errs.InvalidField("duty_assignment.scope", "RESOURCE_FOREIGN", "name this organisation, or a resource of it")
		}
		a.Creator = creator
		if resource.Parent(a.GetDutyProfile()) != parent {
			return errs.NotFoundName("DUTY_PROFILE_NOT_FOUND", a.GetDutyProfile())
		}
		_, err := d.profiles.Get(tx, a.GetDutyProfile())
		return err
	})
}

// GetAssignment returns an assignment. Reasons: DUTY_ASSIGNMENT_NOT_FOUND.
func (d *Duties) GetAssignment(r kv.Reader, name string) (*permissionv1.DutyAssignment, error) {
	return d.assignments.Get(r, name)
}

// Filter selects assignments; at most one field is set.
type Filter struct{ Subject, Profile string }

// ListAssignments returns a page of an organisation's assignments by name, or
// of those that the filter selects.
func (d *Duties) ListAssignments(r kv.Reader, parent string, f Filter, after []byte, limit int) ([]*permissionv1.DutyAssignment, []byte, error) {
	q := shelf.Below(parent)
	switch {
	case f.Subject != "":
		q = kv.Query{Index: byFact, Prefix: kv.Key{kv.String(parent), kv.String(f.Subject)}}
	case f.Profile != "":
		if resource.Parent(f.Profile) != parent {
			return nil, nil, nil // another organisation's
		}
		q = kv.Query{Index: byProfile, Prefix: kv.Key{kv.String(f.Profile)}}
	}
	return d.assignments.List(r, shelf.Page(q, after, limit))
}

// End ends a duty and the grants that were made for it. Reasons:
// DUTY_ASSIGNMENT_NOT_FOUND, ETAG_MISMATCH, LAST_ADMINISTRATOR, LAST_OPERATOR.
func (d *Duties) End(tx *change.Tx, name, etag string) (*permissionv1.DutyAssignment, error) {
	return d.assignments.Delete(tx, name, etag, func(a *permissionv1.DutyAssignment) error {
		var made []string
		for g, err := range d.grants.Of(tx, a.GetSubject()) {
			if err != nil {
				return err
			}
			if g.GetDuty() == name {
				made = append(made, g.GetName())
			}
		}
		for _, grantName := range made {
			if err := d.revoke(tx, grantName); err != nil {
				return err
			}
		}
		return nil
	})
}

// revoke deletes a grant, with its trace.
func (d *Duties) revoke(tx *change.Tx, name string) error {
	gone, v, err := d.grants.Delete(tx, tx.Time, name, "")
	if err != nil {
		return err
	}
	grant.Effect{Before: gone, Revision: v}.Record(tx)
	return nil
}

// Forget ends the duties of a subject that is gone for good, whose grants end
// by themselves.
func (d *Duties) Forget(tx *change.Tx, gone string) error {
	prefix := kv.Key{kv.String(subject.OrganizationOf(gone)), kv.String(gone)}
	for rec, err := range d.assignments.Scan(tx, kv.Query{Index: byFact, Prefix: prefix}) {
		if err != nil {
			return err
		}
		if _, err := d.assignments.Delete(tx, rec.Value.GetName(), "", nil); err != nil {
			return err
		}
	}
	return nil
}

// checkItems refuses a profile whose items name what cannot be granted.
func (d *Duties) checkItems(r kv.Reader, p *permissionv1.DutyProfile) error {
	organization := resource.Parent(p.GetName())
	for i, item := range p.GetItems() {
		if err := d.roles.CheckNamed(r, organization, at(i, "role"), item.GetRole()); err != nil {
			return err
		}
		if !grant.IsResourceOf(organization, resolve(item.GetResource(), organization)) {
			return errs.InvalidField(at(i, "resource"), "DUTY_RESOURCE_INVALID",
				"send {scope}, a name below it as in {scope}/teams/t1, or the full name of a resource of this organisation")
		}
	}
	seen := make([]string, 0, len(p.GetItems()))
	for i, item := range p.GetItems() {
		key := item.GetRole() + " " + resolve(item.GetResource(), organization)
		if slices.Contains(seen, key) {
			return errs.InvalidField(at(i, "role"), "REPEATED_UNIQUE", "another item names the same role on the same resource")
		}
		seen = append(seen, key)
	}
	return nil
}
