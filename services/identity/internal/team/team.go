// Package team keeps teams of staff, which team is below which, and who is in
// them. Grants name teams, so that who may do what follows from who works where.
//
// Teams are a forest: each is at the top or below one other, without circles
// and not too deep. What is below a team moves with it, and moves up when it is
// deleted.
//
//	CreateTeam ──▶ at the top ◀──UpdateTeam(parent)──▶ below a team ◀── CreateTeam
//	                   │                                    │
//	                   └──DeleteTeam, with force when teams are below it──▶ gone
//
// Whether an account may be a member is not decided here: see
// account.Book.CheckThere.
package team

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of a team's name, MemberPattern that of a member's.
const (
	Pattern       = resource.Pattern("organizations/{organization}/teams/{team}")
	MemberPattern = resource.Pattern("organizations/{organization}/teams/{team}/members/{staff_member}")
)

// Types of events about teams.
const (
	UpdatedType       = "guildhall.identity.team.updated.v1"
	DeletedType       = "guildhall.identity.team.deleted.v1"
	MemberCreatedType = "guildhall.identity.team_member.created.v1"
	MemberDeletedType = "guildhall.identity.team_member.deleted.v1"
)

// MaxMembers is the most members of a team: as many as can leave it, here and
// where others follow, in the one transaction in which it is deleted.
const MaxMembers = 5000

// MaxSubteams is the most teams directly below a team: they move in the one
// transaction in which it is deleted.
const MaxSubteams = 1000

// Book keeps teams and members. It is safe for concurrent use.
type Book struct {
	most    int32 // members
	widest  int32 // teams directly below
	teams   *kv.Table[*identityv1.Team]
	members *kv.Table[*identityv1.TeamMember]
	sizes   *kv.Table[*storev1.TeamSize]
}

// New returns a book whose teams have at most so many members, and so many teams
// directly below them.
func New(most, widest int32) *Book {
	return &Book{most: most, widest: widest, teams: teams(), members: members(), sizes: sizes()}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return slices.Concat(b.teams.Tables(), b.members.Tables(), b.sizes.Tables())
}

// teams is (organisation, name) -> Team.
func teams() *kv.Table[*identityv1.Team] {
	return kv.NewTable(kv.TableConfig[*identityv1.Team]{
		Name: "teams", NotFound: "TEAM_NOT_FOUND", Exists: "TEAM_EXISTS",
		Key: func(t *identityv1.Team) kv.Key { return key(t.GetName()) },
		Indexes: []kv.Index[*identityv1.Team]{{
			Name: byParent,
			Keys: func(t *identityv1.Team) []kv.Key {
				return []kv.Key{parentKey(resource.Parent(t.GetName()), t.GetParent())}
			},
		}},
	})
}

// parentKey finds the teams of an organisation directly below one; "" is those
// at the top.
func parentKey(organization, parent string) kv.Key {
	return kv.Key{kv.String(organization), kv.String(parent)}
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// Get returns a team. The error is NotFound (TEAM_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Team, error) {
	rec, found, err := b.teams.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName("TEAM_NOT_FOUND", name)
	}
	if err != nil {
		return nil, err
	}
	return revise.View(rec), nil
}

// Create makes a team with the name and the caller's fields of t. Its errors are
// Exists (TEAM_EXISTS), those of CheckPlace, and Exhausted (TEAM_FULL).
func (b *Book) Create(tx *change.Tx, t *identityv1.Team) (*identityv1.Team, error) {
	return revise.Create(tx, b.teams, t, b.placing(tx))
}

// fields are those of a team that callers may change.
func fields() []string { return []string{"display_name", "description", "parent"} }

// placing says what becomes of a team that is put somewhere.
func (b *Book) placing(tx kv.Tx) revise.Rules[*identityv1.Team] {
	return revise.Rules[*identityv1.Team]{
		Event: "guildhall.identity.team", Fields: fields(),
		Data: func(t *identityv1.Team) proto.Message { return moved(t) },
		Follow: func(old, now *identityv1.Team) error {
			if old != nil && now.GetParent() == old.GetParent() {
				return nil
			}
			if err := b.CheckPlace(tx, now.GetName(), now.GetParent()); err != nil {
				return err
			}
			return b.place(tx, old.GetParent(), now.GetParent())
		},
	}
}

// Changes returns the fields that an update changes, of those that it may. The
// error is Invalid for a mask of others.
func Changes(t *identityv1.Team, mask *fieldmaskpb.FieldMask) ([]string, error) {
	return fieldmask.Paths(mask, t, fields()...)
}

// Update changes the masked fields to those of t; another parent moves the team
// with all below it. Its errors are NotFound, Conflict (ETAG_MISMATCH), Invalid
// for a mask of other fields, those of CheckPlace, and Exhausted (TEAM_FULL).
func (b *Book) Update(tx *change.Tx, t *identityv1.Team, mask *fieldmaskpb.FieldMask) (*identityv1.Team, error) {
	return revise.Update(tx, b.teams, t, mask, b.placing(tx))
}

// Delete removes a team and its members, and returns what it was. With force,
// teams below it move up to where it was. One event tells of the team; that
// its members are none any more follows. Its errors are NotFound, Conflict
// (ETAG_MISMATCH), Precondition (TEAM_HAS_SUBTEAMS) without force, and Exhausted
// (TEAM_FULL) when the team above has no room for those below.
func (b *Book) Delete(tx *change.Tx, name, etag string, force bool) (*identityv1.Team, error) {
	rec, err := b.teams.Delete(tx, key(name), etag)
	if err != nil {
		return nil, err
	}
	if err := b.place(tx, rec.Value.GetParent(), ""); err != nil {
		return nil, err
	}
	if err := b.liftChildren(tx, rec.Value, force); err != nil {
		return nil, err
	}
	for member, err := range b.members.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(name)}}) {
		if err != nil {
			return nil, err
		}
		if _, err := b.members.Delete(tx, memberKey(member.Value.GetName()), ""); err != nil {
			return nil, err
		}
	}
	if err := b.forgetSize(tx, name); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: DeletedType})
	return revise.View(rec), nil
}
