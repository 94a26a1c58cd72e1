package grant

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Word is what a service says a subject holds on a resource of its own.
type Word struct {
	// Service is the short name of the service, as in "groupchat".
	Service           string
	Subject, Resource string
	// Role is built in; empty takes away.
	Role string
	// Version orders the words about one subject and resource.
	Version int64
	// Expires is the Unix second from which the grant allows nothing; 0 is
	// never.
	Expires int64
}

// SetManaged makes a word true unless one with the same or a higher version
// already is. So words may come late, twice and in any order; the last version
// is kept also of a subject that holds nothing any more. newID is the last
// segment of the grant's name should there be a new one.
//
// Errors are Invalid (SUBJECT_INVALID, RESOURCE_NAME_INVALID, ROLE_NOT_MANAGED)
// and Unavailable (SUBJECT_ENDING).
func (s *Grants) SetManaged(tx kv.Tx, at time.Time, w Word, newID string) (Effect, error) {
	if err := s.checkWord(w); err != nil {
		return Effect{}, err
	}
	if err := s.checkEnding(tx, w.Subject); err != nil {
		return Effect{}, err
	}
	m := &storev1.Managed{
		Service: "services/" + w.Service, Subject: w.Subject, Resource: w.Resource, Version: w.Version,
	}
	old, found, err := s.managed.Find(tx, managedKey(m))
	if err != nil {
		return Effect{}, err
	}
	if found && old.Value.GetVersion() >= w.Version {
		return Effect{Version: old.Value.GetVersion()}, nil
	}
	e := Effect{Version: w.Version}
	if e.Before, err = s.managedGrant(tx, old); err != nil {
		return Effect{}, err
	}
	if e.After, err = s.rewrite(tx, at, e.Before, m, w, newID); err != nil {
		return Effect{}, err
	}
	m.Grant = e.After.GetName()
	if _, err := s.managed.Put(tx, m, ""); err != nil {
		return Effect{}, err
	}
	if e.Before.GetRole() == e.After.GetRole() && e.Before.GetExpireTime().GetSeconds() == e.After.GetExpireTime().GetSeconds() {
		return Effect{Version: w.Version}, nil
	}
	changed := e.After
	if changed == nil {
		changed = e.Before
	}
	e.Revision, err = touch(tx, at, changed)
	return e, err
}

// managedGrant returns the grant that the last word made; nil when there is
// none.
func (s *Grants) managedGrant(r kv.Reader, last kv.Record[*storev1.Managed]) (*permissionv1.Grant, error) {
	if !last.Found() || last.Value.GetGrant() == "" {
		return nil, nil
	}
	rec, found, err := s.table.Find(r, keyOf(last.Value.GetGrant()))
	if err != nil || !found {
		return nil, err
	}
	return rec.Value, nil
}

// rewrite makes, changes or deletes the grant and returns what it is now; nil
// when there is none.
func (s *Grants) rewrite(tx kv.Tx, at time.Time, old *permissionv1.Grant, m *storev1.Managed, w Word, newID string) (*permissionv1.Grant, error) {
	switch {
	case w.Role == "" && old == nil:
		return nil, nil
	case w.Role == "":
		_, err := s.table.Delete(tx, keyOf(old.GetName()), "")
		return nil, err
	case old != nil:
		rec, err := s.table.Modify(tx, keyOf(old.GetName()), "", func(g *permissionv1.Grant) error {
			g.Role, g.ExpireTime = w.Role, w.expireTime()
			return nil
		})
		return rec.Value, err
	}
	organization := subject.OrganizationOf(w.Subject)
	rec, err := s.table.Create(tx, &permissionv1.Grant{
		Name: organization + "/grants/" + newID, Subject: w.Subject, Role: w.Role, Resource: w.Resource,
		Creator: m.GetService(), ManagedBy: m.GetService(), CreateTime: timestamppb.New(at), ExpireTime: w.expireTime(),
	})
	return rec.Value, err
}

// checkWord lets a service give the roles made for it, below an organisation,
// and nothing else.
func (s *Grants) checkWord(w Word) error {
	if !subject.IsAccount(w.Subject) {
		return errs.InvalidField("subject", "SUBJECT_INVALID", "name an account")
	}
	organization := subject.OrganizationOf(w.Subject)
	if err := checkResource(organization, w.Resource); err != nil || w.Resource == organization || !isResource(w.Resource) {
		return errs.InvalidField("resource", "RESOURCE_NAME_INVALID", "name a resource below the organisation of the subject")
	}
	if w.Role != "" && s.roles.Manager(w.Role) != w.Service {
		return errs.InvalidField("role", "ROLE_NOT_MANAGED", "name a built-in role that this service may give")
	}
	return nil
}

func managedKey(m *storev1.Managed) kv.Key {
	return kv.Key{kv.String(m.GetService()), kv.String(m.GetSubject()), kv.String(m.GetResource())}
}
