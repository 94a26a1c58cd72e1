package group

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/resource"
	groupchatstorev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// MovedInviters is what becomes of the members that an account added which is merged
// into another one: that one added them.
func (g *Groups) MovedInviters() move.Kind {
	return move.Kind{Name: "inviters", Move: g.moveInviters, Back: g.inviterBack}
}

func (g *Groups) moveInviters(m *move.Move) (more bool, err error) {
	p, err := g.members.List(m, kv.Query{Index: byInviter, Prefix: nameKey(m.From), Limit: moveChunk})
	if err != nil {
		return false, err
	}
	for _, v := range p.Values() {
		paths := m.Replace(invited(v))
		if err := g.reinvited(m, v); err != nil {
			return false, err
		}
		if err := m.Note(&storev1.MoveLine{Kind: "inviters", Name: v.GetName(), Places: paths, CreateTime: v.GetCreateTime()}); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

func (g *Groups) inviterBack(m *move.Move, line *storev1.MoveLine) (done bool, err error) {
	rec, found, err := g.members.Find(m, memberKey(line.GetName()))
	if err != nil || !found || !move.Is(line, rec.Value.GetCreateTime()) || !m.Restore(line, invited(rec.Value)) {
		return false, err
	}
	return true, g.reinvited(m, rec.Value)
}

func invited(v *groupchatv1.Member) []move.Place {
	return []move.Place{{Path: "inviter", At: &v.Inviter}}
}

// reinvited stores a member that names another inviter.
func (g *Groups) reinvited(m *move.Move, v *groupchatv1.Member) error {
	of, err := g.groups.Get(m, nameKey(resource.Parent(v.GetName())))
	if err != nil {
		return err
	}
	if err := g.stamp(m.Tx, of.Value); err != nil {
		return err
	}
	if _, err := g.members.Update(m, v, ""); err != nil {
		return err
	}
	recordMember(m.Tx, v, "updated", "inviter")
	return nil
}

// MovedWords is what becomes of the names and descriptions that an account gave to
// groups which is merged into another one: they are that one's, to be given out and
// erased with it.
func (g *Groups) MovedWords() move.Kind {
	return move.Kind{Name: "group_words", Move: g.moveWords, Back: g.wordsBack}
}

const (
	displayName = "display_name"
	description = "description"
)

func authors(w *groupchatstorev1.GroupWords) []move.Place {
	return []move.Place{{Path: displayName, At: &w.DisplayNameAuthor}, {Path: description, At: &w.DescriptionAuthor}}
}

func (g *Groups) moveWords(m *move.Move) (more bool, err error) {
	p, err := g.words.List(m, kv.Query{Index: byAuthor, Prefix: nameKey(m.From), Limit: moveChunk})
	if err != nil {
		return false, err
	}
	for _, w := range p.Values() {
		of, err := g.groups.Get(m, nameKey(w.GetGroup()))
		if err != nil {
			return false, err
		}
		line := &storev1.MoveLine{Kind: "group_words", Name: w.GetGroup(), CreateTime: of.Value.GetCreateTime()}
		if line.Was, err = proto.Marshal(written(of.Value, w, m.From)); err != nil {
			return false, err
		}
		line.Places = m.Replace(authors(w))
		if _, err := g.words.Update(m, w, ""); err != nil {
			return false, err
		}
		if err := m.Note(line); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

// wordsBack gives the words back that are still those: what the survivor has written
// since is its own.
func (g *Groups) wordsBack(m *move.Move, line *storev1.MoveLine) (done bool, err error) {
	of, found, err := g.groups.Find(m, nameKey(line.GetName()))
	if err != nil || !found || !move.Is(line, of.Value.GetCreateTime()) {
		return false, err
	}
	was := &groupchatv1.Group{}
	if err := proto.Unmarshal(line.GetWas(), was); err != nil {
		return false, err
	}
	rec, found, err := g.words.Find(m, nameKey(line.GetName()))
	if err != nil || !found {
		return false, err
	}
	same := slices.DeleteFunc(authors(rec.Value), func(p move.Place) bool {
		if p.Path == displayName {
			return was.GetDisplayName() != of.Value.GetDisplayName()
		}
		return was.GetDescription() != of.Value.GetDescription()
	})
	if !m.Restore(line, same) {
		return false, nil
	}
	_, err = g.words.Update(m, rec.Value, "")
	return true, err
}
