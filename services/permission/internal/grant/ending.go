package grant

import (
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// EndChunk is how many grants, and how many words of services, one call of
// DeleteOf deletes: a customer may be in thousands of groups, and a
// transaction that large would lose against live traffic.
const EndChunk = 200

// retryEnding is what whoever grants to a subject that is ending is told to
// wait.
const retryEnding = time.Second

// DeleteOf ends all that a subject holds, because the subject is gone: its
// grants and what services said of it. No rule keeps any of it. From the first
// call on none of it counts; at most EndChunk of it is deleted in one, and the
// subject is among Endings until calls have deleted the rest. more keeps it
// there because of what others have yet to delete.
func (s *Grants) DeleteOf(tx kv.Tx, at time.Time, name string, more bool) (gone []Effect, err error) {
	organization := subject.OrganizationOf(name)
	grants, err := s.table.List(tx, kv.Query{
		Index: bySubject, Prefix: kv.Key{kv.String(organization), kv.String(name)}, Limit: EndChunk,
	})
	if err != nil {
		return nil, err
	}
	words, err := s.managed.List(tx, kv.Query{Index: bySubject, Prefix: kv.Key{kv.String(name)}, Limit: EndChunk})
	if err != nil {
		return nil, err
	}
	if err := s.setEnding(tx, name, more || grants.Next != nil || words.Next != nil); err != nil {
		return nil, err
	}
	for _, w := range words.Records {
		if _, err := s.managed.Delete(tx, managedKey(w.Value), ""); err != nil {
			return nil, err
		}
	}
	if len(grants.Records) == 0 {
		return nil, nil
	}
	now, err := revision.Bump(tx, organization, at, name)
	if err != nil {
		return nil, err
	}
	for _, g := range grants.Records {
		if _, err := s.table.Delete(tx, keyOf(g.Value.GetName()), ""); err != nil {
			return nil, err
		}
		gone = append(gone, Effect{Before: g.Value, Revision: now})
	}
	return gone, nil
}

// Endings returns a page of the subjects that are gone and hold what DeleteOf
// has yet to delete, and where the next one starts, nil at the end.
func (s *Grants) Endings(r kv.Reader, after []byte, limit int) (names []string, next []byte, err error) {
	page, err := s.endings.List(r, kv.Query{After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range page.Records {
		names = append(names, rec.Value.GetSubject())
	}
	return names, page.Next, nil
}

// Subjects returns the subjects of a page of an organisation's grants, each
// once, and where the next page starts, nil at the end. A subject may be on two
// pages.
func (s *Grants) Subjects(r kv.Reader, organization string, after []byte, limit int) (names []string, next []byte, err error) {
	page, err := s.table.List(r, kv.Query{Index: bySubject, Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range page.Records {
		if name := rec.Value.GetSubject(); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names, page.Next, nil
}

// Ending reports whether the subject is among Endings.
func (s *Grants) Ending(r kv.Reader, name string) (bool, error) {
	_, found, err := s.endings.Find(r, kv.Key{kv.String(name)})
	return found, err
}

// setEnding says whether something is left to delete. That the last of it is
// deleted lets the name be granted to again, which is a change to no one else.
func (s *Grants) setEnding(tx kv.Tx, name string, is bool) error {
	was, err := s.Ending(tx, name)
	switch {
	case err != nil || was == is:
	case is:
		_, err = s.endings.Create(tx, &storev1.Ending{Subject: name})
	default:
		_, err = s.endings.Delete(tx, kv.Key{kv.String(name)}, "")
	}
	return err
}

// checkEnding refuses a grant to a name whose former bearer's grants are being
// deleted: it would be one of them.
func (s *Grants) checkEnding(r kv.Reader, name string) error {
	ending, err := s.Ending(r, name)
	if err != nil || !ending {
		return err
	}
	return errs.New(errs.Unavailable, "SUBJECT_ENDING",
		"what the former bearer of this name held is being deleted; try again", errs.RetryAfter(retryEnding))
}
