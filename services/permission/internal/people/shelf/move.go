package shelf

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/move"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// moveChunk is how many resources one transaction of a move changes.
const moveChunk = 50

// Moving says what becomes of an account's resources that it is merged with. The
// zero Moving moves them all.
type Moving[T Resource] struct {
	// Stays reports of which the account keeps its name; nil is none.
	Stays func(T) bool
	// Places are where a resource names accounts, beside its name; nil is nowhere.
	Places func(T) []move.Place
	// Moved is called after each, with the account that has one more, and the one
	// that has one less; nil is nothing.
	Moved func(tx *change.Tx, to, from string) error
}

// Moved is what becomes of the resources of an account that is merged into another
// one: they are below that one, with all they say, and with their times. The verb of
// their events is "moved".
func (s *Shelf[T]) Moved(how Moving[T]) move.Kind {
	return move.Kind{
		Name: s.cfg.Table,
		Move: func(m *move.Move) (bool, error) { return s.moveSome(m, how) },
		Back: func(m *move.Move, line *storev1.MoveLine) (bool, error) { return s.moveBack(m, how, line) },
	}
}

func (s *Shelf[T]) moveSome(m *move.Move, how Moving[T]) (more bool, err error) {
	var found []T
	for rec, err := range s.table.Scan(m, Below(m.From)) {
		if err != nil {
			return false, err
		}
		if how.Stays != nil && how.Stays(rec.Value) {
			continue
		}
		if len(found) == moveChunk {
			more = true
			break
		}
		found = append(found, rec.Value)
	}
	for _, v := range found {
		if err := s.moveOne(m, how, v); err != nil {
			return false, err
		}
	}
	return more, nil
}

func (s *Shelf[T]) moveOne(m *move.Move, how Moving[T], v T) (err error) {
	line := &storev1.MoveLine{Kind: s.cfg.Table, FormerName: v.GetName(), CreateTime: created(v)}
	line.Name, err = m.Renamed(v.GetName(), func(name string) (bool, error) {
		_, found, err := s.table.Find(m, keyOf(name))
		return found, err
	})
	if err != nil {
		return err
	}
	if how.Places != nil {
		line.Places = m.Replace(how.Places(v))
	}
	if err := s.rename(m.Tx, how, v, line.GetName(), m.To, m.From); err != nil {
		return err
	}
	return m.Note(line)
}

func (s *Shelf[T]) moveBack(m *move.Move, how Moving[T], line *storev1.MoveLine) (done bool, err error) {
	rec, found, err := s.table.Find(m, keyOf(line.GetName()))
	if err != nil || !found || !move.Is(line, created(rec.Value)) {
		return false, err
	}
	if how.Places != nil {
		m.Restore(line, how.Places(rec.Value))
	}
	return true, s.rename(m.Tx, how, rec.Value, line.GetFormerName(), m.From, m.To)
}

// rename stores a resource under another name, as one of the account to.
func (s *Shelf[T]) rename(tx *change.Tx, how Moving[T], v T, name, to, from string) error {
	if _, err := s.table.Delete(tx, keyOf(v.GetName()), ""); err != nil {
		return err
	}
	set(v, "name", protoreflect.ValueOfString(name))
	if _, err := s.table.Create(tx, v); err != nil {
		return err
	}
	s.Record(tx, "moved", v)
	if how.Moved == nil {
		return nil
	}
	return how.Moved(tx, to, from)
}

// created returns when a resource was made; nil when it does not say.
func created(v proto.Message) *timestamppb.Timestamp {
	has, _ := v.(interface{ GetCreateTime() *timestamppb.Timestamp })
	if has == nil {
		return nil
	}
	return has.GetCreateTime()
}
