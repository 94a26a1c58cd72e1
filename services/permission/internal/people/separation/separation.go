// Package separation keeps the rules of separation of duties, refuses grants
// that break them, and finds who does.
//
//	(no rule) --create--> in force --update--> in force --delete--> (no rule)
//
// A rule has no other states: what it forbids is forbidden when the change
// returns, on every replica. Rules are looked at in two places. When a grant is
// made, by whatever way, Refuse looks whether somebody would hold a forbidden
// pair; that is for people to see at once, and bounded where a team is large.
// When a check is made, package decide looks again, whatever way somebody came
// to hold both; that is what the promise rests on.
package separation

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Pattern is the form of the names of rules.
const Pattern = resource.Pattern("organizations/{organization}/separationRules/{rule}")

// MaxRules is how many rules an organisation may have: each check of a
// permission that is given looks at them.
const MaxRules = 100

// Config is what rules need of the service, all of it.
type Config struct {
	Rules  *decide.Rules
	Loader *decide.Loader
}

// Separations keeps rules. It is safe for concurrent use.
//
//	separation_rules  organisation, id -> SeparationRule (without etag)
type Separations struct {
	Config
	shelf *shelf.Shelf[*permissionv1.SeparationRule]
}

// New returns the rules that the store holds.
func New(cfg Config) *Separations {
	return &Separations{Config: cfg, shelf: shelf.New(shelf.Config[*permissionv1.SeparationRule]{
		Noun: "separation_rule", Table: "separation_rules", Names: []resource.Pattern{Pattern},
		Mutable: []string{"display_name", "resource", "exemptions", "forbidden_pair", "two_person", "bulk_read"},
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Separations) Tables() []string { return s.shelf.Tables() }

// Of returns all rules of an organisation, by name.
func (s *Separations) Of(r kv.Reader, organization string) ([]*permissionv1.SeparationRule, error) {
	var rules []*permissionv1.SeparationRule
	for rec, err := range s.shelf.Scan(r, kv.Query{Prefix: kv.Key{kv.String(organization)}}) {
		if err != nil {
			return nil, err
		}
		rules = append(rules, rec.Value)
	}
	return rules, nil
}

// Deciding returns the rules that checks have to look at: not those that only
// count.
func (s *Separations) Deciding(r kv.Reader, organization string) ([]*permissionv1.SeparationRule, error) {
	rules, err := s.Of(r, organization)
	return slices.DeleteFunc(rules, func(v *permissionv1.SeparationRule) bool { return v.GetBulkRead() != nil }), err
}

// Counting returns the rules against bulk reading of all organisations.
func (s *Separations) Counting(r kv.Reader) ([]*permissionv1.SeparationRule, error) {
	var rules []*permissionv1.SeparationRule
	for rec, err := range s.shelf.Scan(r, kv.Query{}) {
		if err != nil {
			return nil, err
		}
		if rec.Value.GetBulkRead() != nil {
			rules = append(rules, rec.Value)
		}
	}
	return rules, nil
}

// Create stores a rule. Errors are Exists (SEPARATION_RULE_EXISTS), Exhausted
// (SEPARATION_RULE_LIMIT), NotFound (ROLE_NOT_FOUND) and Invalid
// (SEPARATION_RULE_INVALID, SEPARATION_LOCKOUT, RESOURCE_FOREIGN,
// PERMISSION_UNKNOWN).
func (s *Separations) Create(tx *change.Tx, parent, id string, in *permissionv1.SeparationRule) (*permissionv1.SeparationRule, error) {
	rules, heard := s.telling(tx, parent)
	return rules.Create(tx, parent, id, in, func(v *permissionv1.SeparationRule) error {
		if err := s.check(tx, parent, v); err != nil {
			return err
		}
		have, err := s.Of(tx, parent)
		if err == nil && len(have) >= MaxRules {
			err = errs.New(errs.Exhausted, "SEPARATION_RULE_LIMIT", "the organisation has as many rules as it may; join some of them")
		}
		if err != nil {
			return err
		}
		return heard()
	})
}

// telling returns the shelf for one change of a rule, whose event has the revision
// from which on checks go by it, and what makes that revision.
func (s *Separations) telling(tx *change.Tx, organization string) (rules *shelf.Shelf[*permissionv1.SeparationRule], heard func() error) {
	data := &permissionv1.SeparationRuleChanged{}
	rules = s.shelf.With(func(*permissionv1.SeparationRule) proto.Message { return data })
	return rules, func() error {
		now, err := revision.Bump(tx, organization, tx.Time, subject.AllHolders(organization))
		data.Revision = now.Number
		return err
	}
}

// check refuses a rule that says nothing, speaks of what is not there, or would
// keep everybody from changing it.
func (s *Separations) check(r kv.Reader, organization string, v *permissionv1.SeparationRule) error {
	if on := v.GetResource(); on != "" {
		if err := s.Loader.Grants.CheckTarget(r, organization, subject.AllStaff(organization), on); err != nil {
			return errs.InvalidField("separation_rule.resource", "RESOURCE_FOREIGN", "name this organisation, or a resource of it")
		}
	}
	for _, e := range v.GetExemptions() {
		if !subject.IsAccount(e.GetSubject()) || subject.OrganizationOf(e.GetSubject()) != organization || !e.GetExpireTime().IsValid() {
			return errs.InvalidField("separation_rule.exemptions", "SEPARATION_RULE_INVALID", "name accounts of the organisation, each with the time at which it ends")
		}
	}
	pair, two := v.GetForbiddenPair(), v.GetTwoPerson()
	if v.GetRule() == nil {
		return errs.InvalidField("separation_rule.forbidden_pair", "SEPARATION_RULE_INVALID", "say what the rule is: forbidden_pair, two_person or bulk_read")
	}
	for field, side := range map[string]*permissionv1.SeparationSide{"first": pair.GetFirst(), "second": pair.GetSecond()} {
		if pair != nil && len(side.GetRoles())+len(side.GetPermissions()) == 0 {
			return errs.InvalidField("separation_rule.forbidden_pair."+field, "SEPARATION_RULE_INVALID", "name roles or permissions of both sides")
		}
		if err := s.checkRoles(r, organization, side.GetRoles()); err != nil {
			return err
		}
		if err := s.checkPermissions(r, organization, side.GetPermissions()); err != nil {
			return err
		}
	}
	named := slices.Concat(two.GetPermissions(), v.GetBulkRead().GetPermissions())
	if err := s.checkPermissions(r, organization, named); err != nil {
		return err
	}
	return checkLockout(slices.Concat(pair.GetSecond().GetPermissions(), two.GetPermissions()))
}

func (s *Separations) checkRoles(r kv.Reader, organization string, names []string) error {
	for _, name := range names {
		_, err := s.Loader.Roles.Get(r, name)
		if foreign := !role.IsBuiltIn(name) && role.OrganizationOf(name) != organization; err == nil && foreign || errs.Is(err, errs.NotFound) {
			return errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role; see ListRoles",
				errs.Field("separation_rule.forbidden_pair", "ROLE_NOT_FOUND", "name roles of ListRoles"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Separations) checkPermissions(r kv.Reader, organization string, names []string) error {
	for _, name := range names {
		p, known := s.Loader.Roles.Catalogue().Lookup(name)
		if known && p.IsCustom() {
			declared, err := s.Loader.Roles.Set(r, role.Declared(organization))
			if err != nil {
				return err
			}
			known = declared.Has(p)
		}
		if !known {
			return errs.InvalidField("separation_rule", "PERMISSION_UNKNOWN", "name permissions of ListPermissions")
		}
	}
	return nil
}

// checkLockout refuses to separate what it takes to undo a separation: with a
// second person's approval needed to approve, nobody approves any more.
func checkLockout(permissions []string) error {
	for _, p := range permissions {
		for _, kept := range []string{"permission.separationRules.", "permission.permissionChangeRequests."} {
			if strings.HasPrefix(p, kept) {
				return errs.InvalidField("separation_rule", "SEPARATION_LOCKOUT", "rules and change requests themselves cannot be separated; nobody could resolve it")
			}
		}
	}
	return nil
}

// Get returns a rule, or NotFound (SEPARATION_RULE_NOT_FOUND).
func (s *Separations) Get(r kv.Reader, name string) (*permissionv1.SeparationRule, error) {
	return s.shelf.Get(r, name)
}

// List returns a page of an organisation's rules, by name, and where the next
// one starts, nil at the end.
func (s *Separations) List(r kv.Reader, organization string, after []byte, limit int) ([]*permissionv1.SeparationRule, []byte, error) {
	return s.shelf.List(r, shelf.Page(shelf.Below(organization), after, limit))
}

// Update changes the masked fields of a rule. Errors are NotFound
// (SEPARATION_RULE_NOT_FOUND), Conflict (ETAG_MISMATCH), Invalid
// (UPDATE_MASK_INVALID) and those of Create.
func (s *Separations) Update(tx *change.Tx, in *permissionv1.SeparationRule, mask *fieldmaskpb.FieldMask) (*permissionv1.SeparationRule, error) {
	organization := resource.Parent(in.GetName())
	rules, heard := s.telling(tx, organization)
	return rules.Update(tx, in, mask, func(_, now *permissionv1.SeparationRule) error {
		if err := s.check(tx, organization, now); err != nil {
			return err
		}
		return heard()
	})
}

// Delete removes a rule. Errors are NotFound (SEPARATION_RULE_NOT_FOUND) and
// Conflict (ETAG_MISMATCH).
func (s *Separations) Delete(tx *change.Tx, name, etag string) (*permissionv1.SeparationRule, error) {
	rules, heard := s.telling(tx, resource.Parent(name))
	return rules.Delete(tx, name, etag, func(*permissionv1.SeparationRule) error { return heard() })
}
