package team

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// MaxDepth is how many teams can be one above the other, the first and the last
// counted. Service permission believes no longer chain.
const MaxDepth = 16

// parentField is where requests name the team above.
const parentField = "team.parent"

// CheckPlace refuses a team's place directly below parent; "" is the top, where
// any team can be. The team need not be there yet. Errors are NotFound
// (TEAM_NOT_FOUND) for a parent that is not in the team's organisation, and
// Invalid (TEAM_CYCLE, TEAM_TOO_DEEP).
//
// It reads the chain above the parent and what is below the team. A
// transaction that moves one of them meanwhile conflicts with this one: so of
// two moves that only together would make a circle, the second finds the first.
func (b *Book) CheckPlace(r kv.Reader, team, parent string) error {
	if parent == "" {
		return nil
	}
	if resource.Parent(parent) != resource.Parent(team) {
		return noParent(parent)
	}
	above, err := b.above(r, parent)
	switch {
	case errs.Is(err, errs.NotFound):
		return noParent(parent)
	case err != nil:
		return err
	}
	chain := slices.Concat([]string{team, parent}, above)
	if last := slices.Index(chain[1:], team); last >= 0 {
		return cycle(chain[:last+2])
	}
	height, err := b.height(r, team)
	if err != nil {
		return err
	}
	if depth := len(chain) - 1 + height; depth > MaxDepth {
		text := fmt.Sprintf("teams can be %d deep, and these would be %d; choose a place nearer to the top", MaxDepth, depth)
		return errs.InvalidField(parentField, "TEAM_TOO_DEEP", text)
	}
	return nil
}

func noParent(name string) error {
	const text = "name a team of this organisation"
	return errs.New(errs.NotFound, "TEAM_NOT_FOUND", "the team above does not exist, or is not yours to see",
		errs.Field(parentField, "TEAM_NOT_FOUND", text), errs.Meta("resource", name))
}

func cycle(chain []string) error {
	ids := make([]string, len(chain))
	for i, name := range chain {
		ids[i] = name[strings.LastIndexByte(name, '/')+1:]
	}
	way := strings.Join(ids, " > ")
	return errs.New(errs.Invalid, "TEAM_CYCLE", "the team would be below itself: "+way,
		errs.Field(parentField, "TEAM_CYCLE", "name a team that is not below this one: "+way), errs.Meta("path", way))
}

// above returns the teams above a team, the nearest first. The error is
// NotFound (TEAM_NOT_FOUND).
func (b *Book) above(r kv.Reader, name string) (names []string, err error) {
	for {
		t, err := b.Get(r, name)
		if err != nil {
			return nil, err
		}
		if name = t.GetParent(); name == "" {
			return names, nil
		}
		if len(names) == MaxDepth {
			return nil, corrupt(name)
		}
		names = append(names, name)
	}
}

// below returns the teams below a team, level by level.
func (b *Book) below(r kv.Reader, name string) (levels [][]kv.Record[*identityv1.Team], err error) {
	for names := []string{name}; ; {
		var level []kv.Record[*identityv1.Team]
		for _, parent := range names {
			children, err := b.children(r, parent)
			if err != nil {
				return nil, err
			}
			level = append(level, children...)
		}
		if len(level) == 0 {
			return levels, nil
		}
		if len(levels) == MaxDepth {
			return nil, corrupt(name)
		}
		levels = append(levels, level)
		names = names[:0]
		for _, rec := range level {
			names = append(names, rec.Value.GetName())
		}
	}
}

// corrupt is the error for teams that no code here has nested so.
func corrupt(name string) error {
	return errs.New(errs.Internal, "STORE_CORRUPT", errs.InternalMessage,
		errs.Cause(fmt.Errorf("team: more than %d teams above each other around %s", MaxDepth, name)))
}

// height returns how many teams deep a team is with all below it: 1 for one
// that has none below.
func (b *Book) height(r kv.Reader, name string) (int, error) {
	levels, err := b.below(r, name)
	return 1 + len(levels), err
}

// children returns the teams directly below a team, by name.
func (b *Book) children(r kv.Reader, name string) (out []kv.Record[*identityv1.Team], err error) {
	for rec, err := range b.teams.Scan(r, kv.Query{Index: byParent, Prefix: parentKey(resource.Parent(name), name)}) {
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// place counts a team in at a new place and out at the old one; "" is the top,
// where nobody counts. The error is Exhausted (TEAM_FULL).
func (b *Book) place(tx kv.Tx, from, to string) error {
	if from != "" {
		if err := b.branch(tx, from, -1); err != nil {
			return err
		}
	}
	if to != "" {
		return b.branch(tx, to, +1)
	}
	return nil
}

// liftChildren moves the teams directly below a team up to where it is. The
// error is Precondition (TEAM_HAS_SUBTEAMS) when there are any and they are not
// to be moved, Exhausted (TEAM_FULL) when there is no room for them.
func (b *Book) liftChildren(tx *change.Tx, t *identityv1.Team, force bool) error {
	children, err := b.children(tx, t.GetName())
	if err != nil {
		return err
	}
	if len(children) > 0 && !force {
		return errs.New(errs.Precondition, "TEAM_HAS_SUBTEAMS",
			"there are teams below this one; move or delete them first, or send force to have them moved up to where it is")
	}
	for _, rec := range children {
		child := proto.CloneOf(rec.Value)
		child.Parent, child.UpdateTime = t.GetParent(), timestamppb.New(tx.Time)
		if _, err := b.teams.Update(tx, child, ""); err != nil {
			return err
		}
		if err := b.place(tx, "", t.GetParent()); err != nil {
			return err
		}
		tx.Record(change.Change{
			Resource: child.GetName(), Type: UpdatedType, Data: moved(child), ChangedFields: change.ChangedFields(rec.Value, child),
		})
	}
	return nil
}

// moved is what events tell of a team.
func moved(t *identityv1.Team) *identityv1.TeamChanged {
	return &identityv1.TeamChanged{Parent: t.GetParent()}
}
