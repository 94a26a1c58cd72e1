package group

import (
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

const byAuthor = "author"

// words declares the table of who gave groups their names and descriptions. Of a
// group that has had no new ones since there is this table, it is not known.
func words() *kv.Table[*storev1.GroupWords] {
	return kv.NewTable(kv.TableConfig[*storev1.GroupWords]{
		Name: "group_words", Key: func(w *storev1.GroupWords) kv.Key { return nameKey(w.GetGroup()) },
		Indexes: []kv.Index[*storev1.GroupWords]{{
			Name: byAuthor,
			Keys: func(w *storev1.GroupWords) []kv.Key {
				return accountKeys(w.GetDisplayNameAuthor(), w.GetDescriptionAuthor())
			},
		}},
	})
}

// accountKeys returns an index key for each account; an empty one is none.
func accountKeys(accounts ...string) []kv.Key {
	var keys []kv.Key
	for _, account := range accounts {
		if account != "" {
			keys = append(keys, nameKey(account))
		}
	}
	return keys
}

// attribute keeps who gave a group the words in which it differs from before, nil
// for a new one.
func (g *Groups) attribute(tx kv.Tx, before, now *groupchatv1.Group, author string) error {
	named, described := now.GetDisplayName() != before.GetDisplayName(), now.GetDescription() != before.GetDescription()
	if !named && !described {
		return nil
	}
	rec, found, err := g.words.Find(tx, nameKey(now.GetName()))
	if err != nil {
		return err
	}
	w := &storev1.GroupWords{Group: now.GetName()}
	if found {
		w = rec.Value
	}
	if named {
		w.DisplayNameAuthor = author
	}
	if described {
		w.DescriptionAuthor = author
	}
	_, err = g.words.Put(tx, w, "")
	return err
}

// unwritten takes away what an account wrote of a group, and reports whether that
// was something.
func unwritten(v *groupchatv1.Group, w *storev1.GroupWords, account string) (changed bool) {
	if w.GetDisplayNameAuthor() == account {
		changed = v.GetDisplayName() != ""
		v.DisplayName, w.DisplayNameAuthor = "", ""
	}
	if w.GetDescriptionAuthor() == account {
		changed = changed || v.GetDescription() != ""
		v.Description, w.DescriptionAuthor = "", ""
	}
	return changed
}

// written leaves of a group what an account wrote of it.
func written(v *groupchatv1.Group, w *storev1.GroupWords, account string) *groupchatv1.Group {
	out := &groupchatv1.Group{Name: v.GetName(), CreateTime: v.GetCreateTime()}
	if w.GetDisplayNameAuthor() == account {
		out.DisplayName = v.GetDisplayName()
	}
	if w.GetDescriptionAuthor() == account {
		out.Description = v.GetDescription()
	}
	return out
}
