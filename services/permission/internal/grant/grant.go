// Package grant is the centre of service permission: who holds which role on
// what, or is denied it.
//
// A grant is an immutable fact: it is made and deleted, and never changed, but
// for the role of one that a service keeps for its own resource (see
// SetManaged). Every change moves its organisation on by one revision and says
// which subject it touched.
//
// The package keeps grants and their rules. What they add up to for one
// question is package decide's business.
package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Pattern is the form of the names of grants.
const Pattern = resource.Pattern("organizations/{organization}/grants/{grant}")

// Indexes of the table of grants. All keys but those of byExpiry, which no list
// is of, begin with the organisation, so that no list crosses into another.
const (
	bySubject  = "subject"  // subject
	byResource = "resource" // resource
	byRole     = "role"     // role, resource
	byFact     = "fact"     // see factOf; unique, of people's grants
	byHolders  = "holders"  // of grants to holders
	byDeny     = "deny"     // resource; of grants that deny
	byExpiry   = "expiry"   // expire_time, of all organisations
)

// Grants are the grants of all organisations. It is safe for concurrent use.
type Grants struct {
	roles    *role.Roles
	subjects *subject.Subjects
	// conditions checks those that are written.
	conditions *condition.Programs

	table     *kv.Table[*permissionv1.Grant]
	managed   *kv.Table[*storev1.Managed]
	endings   *kv.Table[*storev1.Ending]
	seeded    *kv.Table[*storev1.Seeded]
	separated func(r kv.Reader, at time.Time, g *permissionv1.Grant) error // nil for none
}

// New returns the grants that the store holds.
func New(roles *role.Roles, subjects *subject.Subjects, conditions *condition.Programs) *Grants {
	key := func(g *permissionv1.Grant, parts ...string) []kv.Key {
		k := kv.Key{kv.String(organizationOf(g.GetName()))}
		for _, p := range parts {
			k = append(k, kv.String(p))
		}
		return []kv.Key{k}
	}
	return &Grants{
		roles: roles, subjects: subjects, conditions: conditions,
		table: kv.NewTable(kv.TableConfig[*permissionv1.Grant]{
			Name: "grants", Key: func(g *permissionv1.Grant) kv.Key { return keyOf(g.GetName()) },
			NotFound: "GRANT_NOT_FOUND", Exists: "GRANT_EXISTS",
			Indexes: []kv.Index[*permissionv1.Grant]{
				// The unique index is first, so that a refusal has written nothing.
				{Name: byFact, Unique: true, Reason: "GRANT_EXISTS", Field: "grant", Keys: func(g *permissionv1.Grant) []kv.Key {
					if g.GetManagedBy() != "" {
						return nil // a service's word stands beside that of people
					}
					return key(g, factOf(g)...)
				}},
				{Name: bySubject, Keys: func(g *permissionv1.Grant) []kv.Key { return key(g, g.GetSubject()) }},
				{Name: byResource, Keys: func(g *permissionv1.Grant) []kv.Key { return key(g, g.GetResource()) }},
				{Name: byHolders, Keys: func(g *permissionv1.Grant) []kv.Key {
					if _, _, ok := subject.ParseHolders(g.GetSubject()); !ok {
						return nil
					}
					return key(g)
				}},
				{Name: byDeny, Keys: func(g *permissionv1.Grant) []kv.Key {
					if !Denies(g) {
						return nil
					}
					return key(g, g.GetResource())
				}},
				expiryIndex(),
				{Name: byRole, Keys: func(g *permissionv1.Grant) []kv.Key { return key(g, g.GetRole(), g.GetResource()) }},
			},
		}),
		managed: kv.NewTable(kv.TableConfig[*storev1.Managed]{
			Name: "managed", Key: func(m *storev1.Managed) kv.Key { return managedKey(m) },
			Indexes: []kv.Index[*storev1.Managed]{{
				Name: bySubject, Keys: func(m *storev1.Managed) []kv.Key { return []kv.Key{{kv.String(m.GetSubject())}} },
			}},
		}),
		endings: kv.NewTable(kv.TableConfig[*storev1.Ending]{
			Name: "endings", Key: func(e *storev1.Ending) kv.Key { return kv.Key{kv.String(e.GetSubject())} },
		}),
		seeded: kv.NewTable(kv.TableConfig[*storev1.Seeded]{
			Name: "seeded", Key: func(o *storev1.Seeded) kv.Key { return kv.Key{kv.String(o.GetOrganization())} },
		}),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Grants) Tables() []string {
	return slices.Concat(s.table.Tables(), s.managed.Tables(), s.endings.Tables(), s.seeded.Tables())
}

// Create stores a grant in the transaction of a change at the given time, and
// returns it with the organisation's new revision. That whoever gives it holds
// as much is the caller's to see to, in the same transaction.
//
// Errors are Exists (GRANT_EXISTS), Unavailable (SUBJECT_ENDING), Precondition
// (LAST_ADMINISTRATOR, LAST_OPERATOR, of one that denies) and those of Check.
func (s *Grants) Create(tx kv.Tx, at time.Time, g *permissionv1.Grant) (*permissionv1.Grant, revision.Revision, error) {
	stored, err := s.insert(tx, at, g)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	if Denies(stored) {
		if err := s.keepPosts(tx, at, organizationOf(stored.GetName()), stored); err != nil {
			return nil, revision.Revision{}, err
		}
	}
	v, err := touch(tx, at, stored)
	return stored, v, err
}

// insert is Create without the revision, and without the rule of posts.
func (s *Grants) insert(tx kv.Tx, at time.Time, g *permissionv1.Grant) (*permissionv1.Grant, error) {
	if err := s.Check(tx, at, g); err != nil {
		return nil, err
	}
	if err := s.checkEnding(tx, g.GetSubject()); err != nil {
		return nil, err
	}
	stored := proto.CloneOf(g)
	stored.Etag, stored.CreateTime = "", timestamppb.New(at)
	if stored.GetExpireTime() != nil {
		// What a check compares is what a reader sees: whole seconds.
		stored.ExpireTime = &timestamppb.Timestamp{Seconds: stored.GetExpireTime().GetSeconds()}
	}
	rec, err := s.table.Create(tx, stored)
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// Get returns a grant, or NotFound (GRANT_NOT_FOUND).
func (s *Grants) Get(r kv.Reader, name string) (*permissionv1.Grant, error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// Delete revokes a grant and returns what it was. Errors are NotFound
// (GRANT_NOT_FOUND), Conflict (ETAG_MISMATCH), and Precondition (GRANT_MANAGED
// for one that a service keeps, LAST_ADMINISTRATOR, LAST_OPERATOR).
func (s *Grants) Delete(tx kv.Tx, at time.Time, name, etag string) (*permissionv1.Grant, revision.Revision, error) {
	rec, err := s.removable(tx, name, etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	if err := s.keepPost(tx, at, rec.Value); err != nil {
		return nil, revision.Revision{}, err
	}
	if _, err := s.table.Delete(tx, keyOf(name), ""); err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := touch(tx, at, rec.Value)
	return shown(rec), v, err
}

// removable returns a grant that people may delete, whatever post it fills.
func (s *Grants) removable(r kv.Reader, name, etag string) (kv.Record[*permissionv1.Grant], error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return rec, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return rec, err
	}
	if manager := rec.Value.GetManagedBy(); manager != "" {
		return rec, errs.New(errs.Precondition, "GRANT_MANAGED",
			"a service keeps this grant; change the resource it is on instead", errs.Meta("managed_by", manager))
	}
	return rec, nil
}

// Of yields all grants that count for exactly the subject named, by name: none
// while what it held is being deleted.
func (s *Grants) Of(r kv.Reader, name string) iter.Seq2[*permissionv1.Grant, error] {
	return func(yield func(*permissionv1.Grant, error) bool) {
		if ending, err := s.Ending(r, name); err != nil || ending {
			if err != nil {
				yield(nil, err)
			}
			return
		}
		prefix := kv.Key{kv.String(subject.OrganizationOf(name)), kv.String(name)}
		for rec, err := range s.table.Scan(r, kv.Query{Index: bySubject, Prefix: prefix}) {
			if !yield(rec.Value, err) {
				return
			}
		}
	}
}

// OfHolders yields the grants to all holder forms of an organisation that
// count, by name.
func (s *Grants) OfHolders(r kv.Reader, organization string) iter.Seq2[*permissionv1.Grant, error] {
	return func(yield func(*permissionv1.Grant, error) bool) {
		for rec, err := range s.table.Scan(r, kv.Query{Index: byHolders, Prefix: kv.Key{kv.String(organization)}}) {
			if !yield(rec.Value, err) {
				return
			}
		}
	}
}

// Uses reports whether any grant of the organisation gives or denies the role,
// or is to its holders.
func (s *Grants) Uses(r kv.Reader, organization, roleName string) (bool, error) {
	page, err := s.table.List(r, kv.Query{
		Index: byRole, Prefix: kv.Key{kv.String(organization), kv.String(roleName)}, Limit: 1,
	})
	if err != nil || len(page.Records) > 0 {
		return err == nil, err
	}
	for g, err := range s.OfHolders(r, organization) {
		if err != nil {
			return false, err
		}
		if _, held, _ := subject.ParseHolders(g.GetSubject()); held == roleName {
			return true, nil
		}
	}
	return false, nil
}

// Filter selects grants of one organisation; at most one field is set.
type Filter struct{ Subject, Resource, Role string }

// List returns one page of an organisation's grants, by name, or of those that
// the filter selects. next is where to go on, nil at the end.
func (s *Grants) List(r kv.Reader, organization string, f Filter, after []byte, limit int) (grants []*permissionv1.Grant, next []byte, err error) {
	page, err := s.table.List(r, f.query(organization, after, limit))
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range page.Records {
		grants = append(grants, shown(rec))
	}
	return grants, page.Next, nil
}

// Denies reports whether the grant takes away. An effect that this version
// does not know is no reason to give.
func Denies(g *permissionv1.Grant) bool {
	return g.GetEffect() != permissionv1.Effect_EFFECT_UNSPECIFIED && g.GetEffect() != permissionv1.Effect_EFFECT_ALLOW
}

// factOf returns what no two grants of people have in common: subject, role
// and resource and, of one that denies or has a condition, those too. An
// expression may be longer than a key.
func factOf(g *permissionv1.Grant) []string {
	fact := []string{g.GetSubject(), g.GetRole(), g.GetResource()}
	expression := g.GetCondition().GetExpression()
	if !Denies(g) && expression == "" {
		return fact
	}
	effect := permissionv1.Effect_EFFECT_ALLOW
	if Denies(g) {
		effect = permissionv1.Effect_EFFECT_DENY
	}
	digest := sha256.Sum256([]byte(expression))
	return append(fact, effect.String(), hex.EncodeToString(digest[:]))
}

// touch notes that the grant's subject holds something else now.
func touch(tx kv.Tx, at time.Time, g *permissionv1.Grant) (revision.Revision, error) {
	return revision.Bump(tx, organizationOf(g.GetName()), at, touchedBy(g)...)
}

func organizationOf(name string) string { return resource.Parent(name) }

func keyOf(name string) kv.Key {
	return kv.Key{kv.String(organizationOf(name)), kv.String(idOf(name))}
}

// idOf returns the last segment of a grant's name.
func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// shown returns a record as the API shows it.
func shown(rec kv.Record[*permissionv1.Grant]) *permissionv1.Grant {
	g := proto.CloneOf(rec.Value)
	g.Etag = rec.Etag
	return g
}
