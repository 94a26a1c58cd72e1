package qualification

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/role"
)

// MaxRequirements is how many requirements an organisation has at most: a
// check of a role that needs a certificate looks through all of them.
const MaxRequirements = 100

// CreateRequirement stores a new requirement. Reasons:
// CERTIFICATION_REQUIREMENT_EXISTS, COURSE_NOT_FOUND, ROLE_NOT_FOUND,
// ROLE_NOT_QUALIFIABLE, DUTY_RESOURCE_INVALID, TOO_MANY_REQUIREMENTS.
func (q *Qualifications) CreateRequirement(tx *change.Tx, parent, id string, in *permissionv1.CertificationRequirement) (*permissionv1.CertificationRequirement, error) {
	created, err := q.requirements.Create(tx, parent, id, in, func(v *permissionv1.CertificationRequirement) error {
		if err := q.checkRoom(tx, parent); err != nil {
			return err
		}
		return q.checkRequirement(tx, v)
	})
	if err != nil {
		return nil, err
	}
	return created, touchRequirements(tx, parent)
}

func (q *Qualifications) checkRoom(r kv.Reader, organization string) error {
	all, _, err := q.requirements.List(r, shelf.Page(shelf.Below(organization), nil, MaxRequirements))
	if len(all) == MaxRequirements {
		return errs.New(errs.Exhausted, "TOO_MANY_REQUIREMENTS", "an organisation has at most 100 certification requirements; delete one first")
	}
	return err
}

// GetRequirement returns a requirement. Reasons:
// CERTIFICATION_REQUIREMENT_NOT_FOUND.
func (q *Qualifications) GetRequirement(r kv.Reader, name string) (*permissionv1.CertificationRequirement, error) {
	return q.requirements.Get(r, name)
}

// ListRequirements returns a page of an organisation's requirements, by name.
func (q *Qualifications) ListRequirements(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.CertificationRequirement, []byte, error) {
	return q.requirements.List(r, shelf.Page(shelf.Below(parent), after, limit))
}

// UpdateRequirement changes a requirement; its grace period starts anew.
// Reasons: CERTIFICATION_REQUIREMENT_NOT_FOUND, ETAG_MISMATCH, and those of
// CreateRequirement.
func (q *Qualifications) UpdateRequirement(tx *change.Tx, in *permissionv1.CertificationRequirement, mask *fieldmaskpb.FieldMask) (*permissionv1.CertificationRequirement, error) {
	changed := false
	updated, err := q.requirements.Update(tx, in, mask, func(old, now *permissionv1.CertificationRequirement) error {
		changed = !proto.Equal(old, now)
		return q.checkRequirement(tx, now)
	})
	if err != nil || !changed {
		return updated, err
	}
	return updated, touchRequirements(tx, resource.Parent(in.GetName()))
}

// DeleteRequirement deletes a requirement. Reasons:
// CERTIFICATION_REQUIREMENT_NOT_FOUND, ETAG_MISMATCH.
func (q *Qualifications) DeleteRequirement(tx *change.Tx, name, etag string) (*permissionv1.CertificationRequirement, error) {
	deleted, err := q.requirements.Delete(tx, name, etag, nil)
	if err != nil {
		return nil, err
	}
	return deleted, touchRequirements(tx, resource.Parent(name))
}

// checkRequirement refuses what cannot be required, and starts the grace
// period.
func (q *Qualifications) checkRequirement(tx *change.Tx, v *permissionv1.CertificationRequirement) error {
	organization := resource.Parent(v.GetName())
	if slices.Contains([]string{role.Admin, role.Operator}, v.GetRole()) {
		return errs.InvalidField("certification_requirement.role", "ROLE_NOT_QUALIFIABLE",
			"whoever administers would need a certificate that nobody could confirm; require it of another role")
	}
	if err := q.roles.CheckNamed(tx, organization, "certification_requirement.role", v.GetRole()); err != nil {
		return err
	}
	if p := v.GetResource(); p != "" && !grant.IsResourceOf(organization, strings.ReplaceAll(p, "/*", "/x")) {
		return errs.InvalidField("certification_requirement.resource", "DUTY_RESOURCE_INVALID",
			"send the name of a resource of this organisation, with * for any one id")
	}
	if _, err := q.checkCourse(tx, organization, v.GetCourse()); err != nil {
		return err
	}
	ends := tx.Time.Add(v.GetGracePeriod().AsDuration())
	v.EnforceTime = &timestamppb.Timestamp{Seconds: ends.Unix()}
	return nil
}

// Requirements returns all requirements of an organisation, by name.
func (q *Qualifications) Requirements(r kv.Reader, organization string) ([]*permissionv1.CertificationRequirement, error) {
	all, _, err := q.requirements.List(r, shelf.Below(organization))
	return all, err
}

// Applies reports whether a requirement with the resource pattern is one on the
// resource: on what the pattern matches, on all below, and on what is above,
// because a right on all of it is one on a part.
func Applies(pattern, resource string) bool {
	for pattern != "" && resource != "" {
		var want, have string
		want, pattern, _ = strings.Cut(pattern, "/")
		have, resource, _ = strings.Cut(resource, "/")
		if want != "*" && want != have {
			return false
		}
	}
	return true
}
