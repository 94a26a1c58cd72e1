package policies

import (
	"context"
	"regexp"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/policy"
	"guildhall.dev/services/permission/internal/property"
)

// applying makes the changes of one plan, each as the call does that it stands
// for.
type applying struct {
	Config
	tx     *change.Tx
	by     authn.Caller
	known  *permissionv1.Attributes // of the call
	faults policy.Faults
	// grants are made at once, so that an administrator can be replaced; fields
	// are where they stand in the document.
	grants []grant.Change
	fields []string
	// narrowed are types that lose actions once no role names them.
	narrowed []policy.Change
}

// apply makes the changes of a plan. All the faults of the document come back
// as one error.
func (s *policies) apply(ctx context.Context, tx *change.Tx, organization string, p *policy.Plan) error {
	a := &applying{Config: s.Config, tx: tx, by: authn.CallerOf(ctx), known: authz.Request{}.Known(ctx)}
	if err := a.mayCall(organization, p); err != nil {
		return err
	}
	// Grants come after roles, and what goes comes last: see policy.Plan.
	given := false
	for _, c := range p.Changes {
		if !given && c.Now == nil && !isGrant(c) {
			given = true
			if err := a.give(organization); err != nil {
				return err
			}
		}
		if err := a.faults.Add(c.Field, a.change(c)); err != nil {
			return err
		}
	}
	if !given {
		if err := a.give(organization); err != nil {
			return err
		}
	}
	for _, c := range a.narrowed {
		if err := a.faults.Add(c.Field, a.updateType(c.Now)); err != nil {
			return err
		}
	}
	return a.faults.Err()
}

func isGrant(c policy.Change) bool { return grant.Pattern.Matches(c.Name) }

// change makes one change, but notes those of grants.
func (a *applying) change(c policy.Change) error {
	if c.Action == permissionv1.PolicyChange_ACTION_ADOPT {
		return nil
	}
	thing := c.Now
	if thing == nil {
		thing = c.Old
	}
	switch thing := thing.(type) {
	case *permissionv1.Role:
		return a.role(c)
	case *permissionv1.ResourceType:
		return a.resourceType(c)
	case *permissionv1.Properties:
		return a.properties(c, thing)
	case *permissionv1.Grant:
		if old, _ := c.Old.(*permissionv1.Grant); old != nil {
			a.note(grant.Change{Delete: c.Name}, c.Field)
			if err := a.Edits.MayRevoke(a.tx, a.by, old); err != nil {
				return err
			}
		}
		if c.Now == nil {
			return nil
		}
		g := proto.CloneOf(thing)
		g.Creator, g.ManagedBy = a.by.Name, ""
		a.note(grant.Change{Create: g}, c.Field)
		return a.Edits.CheckGrant(a.tx, a.by, g)
	}
	return nil
}

func (a *applying) note(c grant.Change, field string) {
	a.grants, a.fields = append(a.grants, c), append(a.fields, field)
}

func (a *applying) role(c policy.Change) error {
	now, _ := c.Now.(*permissionv1.Role)
	old, _ := c.Old.(*permissionv1.Role)
	switch {
	case now == nil:
		_, err := a.Edits.DeleteRole(a.tx, c.Name, "")
		return err
	case old == nil:
		_, err := a.Edits.CreateRole(a.tx, a.by, now)
		return err
	default:
		_, err := a.Edits.UpdateRole(a.tx, a.by, old, edit.MergeRole(old, now, edit.RoleFields()), "")
		return err
	}
}

func (a *applying) resourceType(c policy.Change) error {
	now, _ := c.Now.(*permissionv1.ResourceType)
	old, _ := c.Old.(*permissionv1.ResourceType)
	switch {
	case now == nil:
		_, err := a.Edits.DeleteType(a.tx, c.Name, "")
		return err
	case old == nil:
		_, err := a.Edits.CreateType(a.tx, now)
		return err
	case old.GetCollection() != now.GetCollection():
		return errs.InvalidField("resource_type.collection", "RESOURCE_TYPE_COLLECTION_IMMUTABLE", "a type keeps its collection; declare another type")
	}
	wide := edit.MergeType(old, now, edit.TypeFields())
	for _, action := range old.GetActions() {
		if !hasAction(now, action.GetId()) {
			wide.Actions = append(wide.Actions, action)
		}
	}
	if len(wide.GetActions()) > len(now.GetActions()) {
		a.narrowed = append(a.narrowed, c)
	}
	return a.updateType(wide)
}

func (a *applying) properties(c policy.Change, p *permissionv1.Properties) error {
	if c.Now == nil {
		_, err := a.Edits.DeleteProperties(a.tx, p.GetEntity(), "")
		return err
	}
	_, err := a.Edits.SetProperties(a.tx, p.GetEntity(), "", func(*structpb.Struct) *structpb.Struct { return p.GetValues() })
	return err
}

func hasAction(t *permissionv1.ResourceType, id string) bool {
	for _, action := range t.GetActions() {
		if action.GetId() == id {
			return true
		}
	}
	return false
}

func (a *applying) updateType(thing proto.Message) error {
	now, _ := thing.(*permissionv1.ResourceType)
	old, err := a.Edits.Roles.Types().Get(a.tx, now.GetName())
	if err != nil {
		return err
	}
	_, err = a.Edits.UpdateType(a.tx, a.by, old, edit.MergeType(old, now, edit.TypeFields()), "")
	return err
}

// give makes the changes of grants, unless something is at fault already: what
// goes before what comes, so that one thing can be said anew.
func (a *applying) give(organization string) error {
	if len(a.grants) == 0 || a.faults.Err() != nil {
		return nil
	}
	var changes []grant.Change
	var fields []string
	for _, create := range []bool{false, true} {
		for i, c := range a.grants {
			if (c.Create != nil) == create {
				changes, fields = append(changes, c), append(fields, a.fields[i])
			}
		}
	}
	if _, _, err := a.Edits.ChangeGrants(a.tx, organization, changes); err != nil {
		return a.faults.Add(fieldOf(err, fields), err)
	}
	return nil
}

var changeField = regexp.MustCompile(`^changes\[(\d+)\]`)

// fieldOf returns where in the document the change stands that the error of a
// batch names.
func fieldOf(err error, fields []string) string {
	for _, v := range errs.From(err).Violations {
		if found := changeField.FindStringSubmatch(v.Field); found != nil {
			if i, err := strconv.Atoi(found[1]); err == nil && i < len(fields) {
				return fields[i]
			}
		}
	}
	return ""
}

// mayCall asks for the permissions of the calls that the changes stand for:
// to make many at once is no way around them.
func (a *applying) mayCall(organization string, p *policy.Plan) error {
	if a.by.Kind() == authn.System {
		return nil
	}
	facts, asked := a.Loader.Snapshot(a.tx), map[string]bool{}
	for _, c := range p.Changes {
		verb := map[permissionv1.PolicyChange_Action]string{
			permissionv1.PolicyChange_ACTION_CREATE: "create", permissionv1.PolicyChange_ACTION_UPDATE: "update",
			permissionv1.PolicyChange_ACTION_DELETE: "delete", permissionv1.PolicyChange_ACTION_ADOPT: "get",
		}[c.Action]
		permissions, on := []string{"permission." + c.Collection() + "." + verb}, organization
		switch {
		case isGrant(c) && verb == "update":
			permissions = []string{edit.CreateGrants, edit.DeleteGrants}
		case isGrant(c) && verb == "delete":
			on = c.Name
		case c.Collection() == "properties":
			on = property.NameOf(c.Name)
			if verb == "create" {
				permissions = []string{"permission.properties.update"}
			}
		}
		for _, permission := range permissions {
			if asked[permission+" "+on] {
				continue
			}
			asked[permission+" "+on] = true
			answer, err := a.Rules.Answer(facts, a.by.Organization(), decide.Question{
				Subject: a.by.Name, Permission: permission, Resource: on, Attributes: a.known,
			}, a.tx.Time)
			if err != nil {
				return err
			}
			if !answer.Allowed {
				return authz.NewDenied(permission, on)
			}
		}
	}
	return nil
}
