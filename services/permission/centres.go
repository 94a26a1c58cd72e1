package permission

import (
	"slices"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/subjectdata"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/explain"
	"guildhall.dev/services/permission/internal/fieldpolicy"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/lease"
	"guildhall.dev/services/permission/internal/mirror"
	"guildhall.dev/services/permission/internal/policy"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/sequence"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/token"
	"guildhall.dev/services/permission/internal/usage"
)

// centres are what the service knows, before it has a store: rules and the
// tables that they are about.
type centres struct {
	roles      *role.Roles
	subjects   *subject.Subjects
	properties *property.Properties
	grants     *grant.Grants
	rules      *decide.Rules
	loader     *decide.Loader
	policies   *policy.Policies
	lists      *access.Lists
	explainer  *explain.Explainer
	uses       usage.Table
	decisions  decision.Table
	people     people
	edits      *edit.Editor
	tokens     *token.Tokens
	fields     *fieldpolicy.Policies
	books      subjectdata.Books
}

// newCentres makes them; the ring has the keys of tokens.
func newCentres(ring *seal.Ring) (*centres, error) {
	c := &centres{
		roles: role.New(role.NewCatalogue(authz.Catalogue())), subjects: subject.New(), properties: property.New(),
		uses: usage.NewTable(), decisions: decision.NewTable(), tokens: token.New(ring.Derive(token.Purpose)), books: subjectdata.NewBooks(),
	}
	conditions, err := condition.New()
	if err != nil {
		return nil, err
	}
	c.grants = grant.New(c.roles, c.subjects, conditions)
	c.rules = decide.New(c.roles, conditions)
	c.loader = &decide.Loader{Grants: c.grants, Subjects: c.subjects, Roles: c.roles, Properties: c.properties}
	c.edits = &edit.Editor{Roles: c.roles, Grants: c.grants, Rules: c.rules, Loader: c.loader, Tokens: c.tokens}
	c.people = newPeople(c)
	c.policies = policy.New(c.roles, c.grants, c.properties)
	c.lists = &access.Lists{Rules: c.rules, Loader: c.loader, Conditions: conditions}
	c.explainer = &explain.Explainer{Rules: c.rules, Loader: c.loader, Conditions: conditions}
	c.fields = fieldpolicy.New(datamask.Classes(nil))
	c.fields.MayGive, c.loader.Fields = c.edits.MayGive, c.fields.Of
	return c, nil
}

// tables returns the raw tables of the service.
func (c *centres) tables() []string {
	return slices.Concat(
		kv.RawTables(c.roles, c.subjects, c.properties, c.grants, c.policies, c.uses, c.decisions, c.people, c.fields, c.books),
		change.Tables(), revision.Tables(), sequence.Tables(), lease.Tables(), mirror.Tables(),
	)
}
