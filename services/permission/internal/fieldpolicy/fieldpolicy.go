// Package fieldpolicy keeps an organisation's policies about classes of data:
// what of it is restricted, where, and what is left for who lacks the
// permission to see it.
//
//	(no policy) --create--> in force --update--> in force --delete--> (no policy)
//
// A policy has no other states: what it says is so when the change returns, on
// every replica, because it is a change of the subject that each check reads
// (subject.AllHolders). Who sees a restricted class is not said here: that are
// permissions ("data.contact.read"), given by roles and grants with all that
// these have, conditions, teams, ends and denials. So there is one engine that
// decides (package decide), one place to look who may (AccessService,
// ExplainService, access reviews), and no second list to keep in step.
package fieldpolicy

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// Pattern is the form of the names of policies.
const Pattern = resource.Pattern("organizations/{organization}/fieldPolicies/{field_policy}")

// MaxPolicies is how many policies an organisation may have: all of them are in
// memory with what each check reads.
const MaxPolicies = 200

// Types of the events of policies.
const (
	created = "guildhall.permission.field_policy.created.v1"
	updated = "guildhall.permission.field_policy.updated.v1"
	deleted = "guildhall.permission.field_policy.deleted.v1"
)

// keyBytes is the length of a policy's key: that of the hash it is for.
const keyBytes = 32

// Policies keeps policies. It is safe for concurrent use.
//
//	field_policies  organisation, id -> FieldPolicyRecord
type Policies struct {
	// MayGive is the rule of CreateGrant: who decides about a class sees it.
	// Else whoever may change policies could show themselves what is hidden.
	MayGive func(tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error

	classes []datamask.Class
	table   *kv.Table[*storev1.FieldPolicyRecord]
}

// New returns the policies that the store holds, about the classes, which are
// by name.
func New(classes []datamask.Class) *Policies {
	return &Policies{classes: classes, table: kv.NewTable(kv.TableConfig[*storev1.FieldPolicyRecord]{
		Name: "field_policies", Key: func(v *storev1.FieldPolicyRecord) kv.Key { return keyOf(v.GetPolicy().GetName()) },
		NotFound: "FIELD_POLICY_NOT_FOUND", Exists: "FIELD_POLICY_EXISTS",
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Policies) Tables() []string { return s.table.Tables() }

// Classes returns the classes that policies can be about, by name; the slice is
// shared.
func (s *Policies) Classes() []datamask.Class { return s.classes }

// Of returns all policies of an organisation, by name, for decide.Loader.
func (s *Policies) Of(r kv.Reader, organization string) ([]*storev1.FieldPolicyRecord, error) {
	var all []*storev1.FieldPolicyRecord
	for rec, err := range s.table.Scan(r, kv.Query{Prefix: kv.Key{kv.String(organization)}}) {
		if err != nil {
			return nil, err
		}
		all = append(all, rec.Value)
	}
	return all, nil
}

// Create stores a policy. Errors are Exists (FIELD_POLICY_EXISTS), Exhausted
// (FIELD_POLICY_LIMIT), Invalid (DATA_CLASS_UNKNOWN, RESOURCE_NAME_INVALID,
// RESOURCE_FOREIGN) and Denied (GRANT_EXCEEDS_CALLER).
func (s *Policies) Create(tx *change.Tx, by authn.Caller, parent, id string, in *permissionv1.FieldPolicy) (*permissionv1.FieldPolicy, error) {
	id, err := tx.IDOr("field_policy_id", id)
	if err != nil {
		return nil, err
	}
	v := proto.CloneOf(in)
	v.Name, v.Etag = parent+"/fieldPolicies/"+id, ""
	v.CreateTime, v.UpdateTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	if v.GetResource() == parent {
		v.Resource = "" // one way to say it, so that no two policies say it
	}
	if err := s.check(parent, v); err != nil {
		return nil, err
	}
	if err := s.mayDecide(tx, by, v); err != nil {
		return nil, err
	}
	if err := s.checkRoom(tx, parent, v); err != nil {
		return nil, err
	}
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails: crypto/rand ends the process instead
	rec, err := s.table.Create(tx, &storev1.FieldPolicyRecord{Policy: v, HashKey: key})
	if err != nil {
		return nil, err
	}
	return shown(rec), s.changed(tx, v, created, change.ChangedFields(nil, v))
}

// check refuses a policy about what is not there.
func (s *Policies) check(organization string, v *permissionv1.FieldPolicy) error {
	if !slices.ContainsFunc(s.classes, func(c datamask.Class) bool { return c.Name == v.GetDataClass() }) {
		return errs.InvalidField("field_policy.data_class", "DATA_CLASS_UNKNOWN", "name a class of ListDataClasses")
	}
	if v.GetResource() == "" {
		return nil
	}
	return CheckResource("field_policy.resource", organization, v.GetResource())
}

var form = regexp.MustCompile(`^organizations(/[A-Za-z0-9_~.-]+)+$`)

// CheckResource refuses a name that is none, Invalid (RESOURCE_NAME_INVALID), or
// not the organisation's (RESOURCE_FOREIGN). It may be that of a collection.
func CheckResource(field, organization, name string) error {
	if !form.MatchString(name) {
		return errs.InvalidField(field, resource.Reason, "send the name of a resource or a collection, as in organizations/acme/customers")
	}
	if name != organization && !strings.HasPrefix(name, organization+"/") {
		return errs.InvalidField(field, "RESOURCE_FOREIGN", "name this organisation, or what is below it")
	}
	return nil
}

// checkRoom refuses a second policy about a class on a resource, and one more
// than there may be.
func (s *Policies) checkRoom(r kv.Reader, organization string, v *permissionv1.FieldPolicy) error {
	all, err := s.Of(r, organization)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.GetPolicy().GetDataClass() == v.GetDataClass() && p.GetPolicy().GetResource() == v.GetResource() {
			return errs.New(errs.Exists, "FIELD_POLICY_EXISTS", "a policy about this class and resource exists; change that one",
				errs.Meta("resource", p.GetPolicy().GetName()))
		}
	}
	if len(all) >= MaxPolicies {
		return errs.New(errs.Exhausted, "FIELD_POLICY_LIMIT", "the organisation has as many policies as it may; join some of them")
	}
	return nil
}

// mayDecide refuses a caller who does not see the class in full where the
// policy is about, as things are.
func (s *Policies) mayDecide(tx *change.Tx, by authn.Caller, v *permissionv1.FieldPolicy) error {
	on := v.GetResource()
	if on == "" {
		on = resource.Parent(v.GetName())
	}
	return s.MayGive(tx, by, on, []string{datamask.ReadPermission(v.GetDataClass())}, 0)
}

// changed makes checks hear of a policy, and records it.
func (s *Policies) changed(tx *change.Tx, v *permissionv1.FieldPolicy, kind string, fields []string) error {
	organization := resource.Parent(v.GetName())
	now, err := revision.Bump(tx, organization, tx.Time, subject.AllHolders(organization))
	if err != nil {
		return err
	}
	tx.Record(change.Change{
		Resource: v.GetName(), Type: kind, ChangedFields: fields,
		Data: &permissionv1.FieldPolicyChanged{Revision: now.Number, DataClass: v.GetDataClass()},
	})
	return nil
}

// Get returns a policy, or NotFound (FIELD_POLICY_NOT_FOUND).
func (s *Policies) Get(r kv.Reader, name string) (*permissionv1.FieldPolicy, error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// List returns a page of an organisation's policies, by name, and where the next
// one starts, nil at the end.
func (s *Policies) List(r kv.Reader, organization string, after []byte, limit int) ([]*permissionv1.FieldPolicy, []byte, error) {
	page, err := s.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*permissionv1.FieldPolicy, len(page.Records))
	for i, rec := range page.Records {
		out[i] = shown(rec)
	}
	return out, page.Next, nil
}

// Mask reads the update mask of a request; see fieldmask.Paths.
func Mask(req *permissionv1.UpdateFieldPolicyRequest) ([]string, error) {
	return fieldmask.Paths(req.GetUpdateMask(), req.GetFieldPolicy(), "display_name", "otherwise", "mask", "include_customers")
}

// Update changes the masked fields of a policy; an update to the same changes
// nothing. Errors are NotFound (FIELD_POLICY_NOT_FOUND), Conflict (ETAG_MISMATCH)
// and Denied (GRANT_EXCEEDS_CALLER).
func (s *Policies) Update(tx *change.Tx, by authn.Caller, in *permissionv1.FieldPolicy, mask []string) (*permissionv1.FieldPolicy, error) {
	old, err := s.at(tx, in.GetName(), in.GetEtag())
	if err != nil {
		return nil, err
	}
	next := proto.CloneOf(old.Value)
	v := next.GetPolicy()
	fieldmask.Apply(v, in, mask)
	changed := change.ChangedFields(old.Value.GetPolicy(), v)
	if len(changed) == 0 {
		tx.Unchanged()
		return shown(old), nil
	}
	if err := s.mayDecide(tx, by, v); err != nil {
		return nil, err
	}
	v.UpdateTime = timestamppb.New(tx.Time)
	rec, err := s.table.Update(tx, next, "")
	if err != nil {
		return nil, err
	}
	return shown(rec), s.changed(tx, v, updated, changed)
}

// at returns a policy in the state of the etag; any state, without one.
func (s *Policies) at(r kv.Reader, name, etag string) (kv.Record[*storev1.FieldPolicyRecord], error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err == nil {
		err = rec.CheckEtag(etag)
	}
	return rec, err
}

// Delete removes a policy. Errors are NotFound (FIELD_POLICY_NOT_FOUND),
// Conflict (ETAG_MISMATCH) and Denied (GRANT_EXCEEDS_CALLER).
func (s *Policies) Delete(tx *change.Tx, by authn.Caller, name, etag string) (*permissionv1.FieldPolicy, error) {
	old, err := s.at(tx, name, etag)
	if err != nil {
		return nil, err
	}
	// Before it is gone: then everybody would see the class.
	if err := s.mayDecide(tx, by, old.Value.GetPolicy()); err != nil {
		return nil, err
	}
	rec, err := s.table.Delete(tx, keyOf(name), "")
	if err != nil {
		return nil, err
	}
	return shown(rec), s.changed(tx, rec.Value.GetPolicy(), deleted, nil)
}

func keyOf(name string) kv.Key {
	return kv.Key{kv.String(resource.Parent(name)), kv.String(name[strings.LastIndexByte(name, '/')+1:])}
}

func shown(rec kv.Record[*storev1.FieldPolicyRecord]) *permissionv1.FieldPolicy {
	v := proto.CloneOf(rec.Value.GetPolicy())
	v.Etag = rec.Etag
	return v
}
