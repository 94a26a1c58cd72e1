package taxonomy

import (
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Default returns the type of an organisation's messages that name none, where
// the group has no default of its own.
func (t *Taxonomy) Default(r kv.Reader, parent string) (string, error) {
	rec, found, err := t.defaults.Find(r, kv.Key{kv.String(parent)})
	if err != nil || !found {
		return General(parent), err
	}
	return rec.Value.GetType(), nil
}

// DefaultOf returns the type of a group's messages that name none: the group's
// own default while it is in use, else the organisation's. The group may be nil.
func (t *Taxonomy) DefaultOf(r kv.Reader, parent string, group *groupchatv1.Group) (string, error) {
	if own := group.GetDefaultMessageType(); own != "" {
		rec, err := t.get(r, "group.default_message_type", own)
		if err != nil || rec.Value.GetDeleteTime() == nil {
			return own, err
		}
	}
	return t.Default(r, parent)
}

// SetDefault makes a type the organisation's default. Reasons:
// MESSAGE_TYPE_NOT_FOUND, MESSAGE_TYPE_DELETED.
func (t *Taxonomy) SetDefault(tx *change.Tx, name string) (*groupchatv1.MessageType, error) {
	rec, err := t.get(tx, "name", name)
	if err != nil {
		return nil, err
	}
	if rec.Value.GetDeleteTime() != nil {
		return nil, errDeleted()
	}
	v := view(rec)
	v.Default = true
	before, err := t.Default(tx, home(name))
	if err != nil {
		return nil, err
	}
	if before == name {
		tx.Unchanged()
		return v, nil
	}
	if _, err := t.defaults.Put(tx, &storev1.DefaultMessageType{Organization: home(name), Type: name}, ""); err != nil {
		return nil, err
	}
	record(tx, v, "made_default", "default")
	return v, nil
}

// Require returns nil when messages of the organisation may get the type. The
// error is about the field. Reasons: MESSAGE_TYPE_NOT_FOUND, also for one of
// another organisation, and MESSAGE_TYPE_DELETED.
func (t *Taxonomy) Require(r kv.Reader, field, parent, name string) error {
	if Name.Matches(name) && home(name) != parent {
		return errs.NotFoundName("MESSAGE_TYPE_NOT_FOUND", name)
	}
	rec, err := t.get(r, field, name)
	switch {
	case err != nil:
		return err
	case rec.Value.GetDeleteTime() != nil:
		return errDeleted()
	}
	return nil
}

// IDs returns the ids of all types of an organisation, also of those out of use:
// all that the type of one of its messages can be.
func (t *Taxonomy) IDs(r kv.Reader, parent string) ([]string, error) {
	own, err := t.own(r, parent)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range builtIns() {
		ids = append(ids, v.GetName())
	}
	for _, rec := range own {
		ids = append(ids, ID(rec.Value.GetName()))
	}
	return ids, nil
}

// Known returns the id of a type of the organisation, "" when there is none of
// the name.
func (t *Taxonomy) Known(r kv.Reader, parent, name string) (string, error) {
	if !Name.Matches(name) || home(name) != parent {
		return "", nil
	}
	if builtIn(name) == nil {
		if _, found, err := t.types.Find(r, key(name)); err != nil || !found {
			return "", err
		}
	}
	return ID(name), nil
}

// List returns a page of an organisation's types, the built-in ones first, and
// where the next one starts.
func (t *Taxonomy) List(r kv.Reader, parent string, deleted bool, after []byte, limit int) ([]*groupchatv1.MessageType, []byte, error) {
	if _, err := organization.Parse("parent", parent); err != nil {
		return nil, nil, err
	}
	// There are few: they are read at once, and a position is a name.
	own, err := t.own(r, parent)
	if err != nil {
		return nil, nil, err
	}
	last := string(after)
	all := builtInsOf(parent)
	if i := slices.IndexFunc(all, func(v *groupchatv1.MessageType) bool { return v.GetName() == last }); i >= 0 {
		all, last = all[i+1:], ""
	} else if last != "" {
		all = nil
	}
	for _, rec := range own {
		if rec.Value.GetName() > last && (deleted || rec.Value.GetDeleteTime() == nil) {
			all = append(all, view(rec))
		}
	}
	var next []byte
	if len(all) > limit {
		all = all[:limit]
		next = []byte(all[limit-1].GetName())
	}
	return all, next, t.mark(r, parent, all...)
}
