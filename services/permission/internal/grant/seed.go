package grant

import (
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Seed makes the grants that a new organisation begins with: its administrator
// administers it, staff and customers hold their roles, and the administrator
// of the organisation that runs the installation may create others. Grants
// that are there already stay as they are. An organisation is given them once:
// those that people deleted since are not made again. Without an administrator
// the others are made.
func (s *Grants) Seed(tx kv.Tx, at time.Time, organization, administrator, creator string, operator bool) ([]Effect, error) {
	if _, done, err := s.seeded.Find(tx, kv.Key{kv.String(organization)}); err != nil || done {
		return nil, err
	}
	if _, err := s.seeded.Create(tx, &storev1.Seeded{Organization: organization}); err != nil {
		return nil, err
	}
	seeds := []*permissionv1.Grant{
		{Name: "all-staff", Subject: subject.AllStaff(organization), Role: role.Staff, Resource: organization},
		{Name: "all-customers", Subject: subject.AllCustomers(organization), Role: role.Customer, Resource: organization},
	}
	if administrator != "" {
		seeds = append(seeds, &permissionv1.Grant{
			Name: "administrator", Subject: administrator, Role: role.Admin, Resource: organization,
		})
	}
	if administrator != "" && operator {
		seeds = append(seeds, &permissionv1.Grant{
			Name: "operator", Subject: administrator, Role: role.Operator, Resource: authz.Installation,
		})
	}
	var made []Effect
	for _, g := range seeds {
		g.Name, g.Creator = organization+"/grants/"+g.GetName(), creator
		g.Reason = "given when the organisation was created"
		stored, v, err := s.Create(tx, at, g)
		if errs.Is(err, errs.Exists) {
			continue
		}
		if err != nil {
			return nil, err
		}
		made = append(made, Effect{After: stored, Revision: v})
	}
	return made, nil
}
