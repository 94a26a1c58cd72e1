package decide

import (
	"slices"
	"strings"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Hold is one grant as a check sees it.
type Hold struct {
	Resource string
	Role     string
	// Grant is the name of the grant.
	Grant string
	// Expires is the Unix second from which it allows nothing; 0 is never.
	Expires int64
}

// Subject is what one name holds by itself: an account, a team, or a class of
// accounts. It is read-only once compiled, and shared.
//
// Roles are named and not expanded, and teams are names and not their grants:
// so a change of a role or of a team's grants is a change of one thing, however
// many accounts it reaches.
type Subject struct {
	name  string
	facts subject.Facts
	// through are the other names by which the account holds grants: its
	// teams and its class.
	through []string

	holds []Hold // by resource, role and grant
	// first is, for a resource, the index of its first hold. It is nil while
	// the holds are so few that looking through them is quicker.
	first map[string]int32
}

// few is how many holds are looked through without a map. It also keeps small
// subjects small: most accounts hold next to nothing by themselves.
const few = 8

// Compile returns the subject of the name. It keeps holds and sorts it.
func Compile(name string, facts subject.Facts, holds []Hold) *Subject {
	s := &Subject{name: name, facts: facts, through: facts.Teams, holds: holds}
	if class := subject.Class(name); class != "" {
		s.through = append(slices.Clone(facts.Teams), class)
	}
	slices.SortFunc(holds, func(a, b Hold) int {
		if c := strings.Compare(a.Resource, b.Resource); c != 0 {
			return c
		}
		if c := strings.Compare(a.Role, b.Role); c != 0 {
			return c
		}
		return strings.Compare(a.Grant, b.Grant)
	})
	if len(holds) > few {
		s.first = make(map[string]int32, len(holds))
		for i := len(holds) - 1; i >= 0; i-- {
			s.first[holds[i].Resource] = int32(i)
		}
	}
	return s
}

// Name returns the subject's name.
func (s *Subject) Name() string { return s.name }

// Facts and Holds return what the subject was compiled from; the slices are
// shared.
func (s *Subject) Facts() subject.Facts { return s.facts }

// Holds returns the holds by resource, role and grant; see Facts.
func (s *Subject) Holds() []Hold { return s.holds }

// standing returns why the subject may do nothing in the session, and zero when
// it may act.
func (s *Subject) standing(session string) permissionv1.Denial {
	switch {
	case s.facts.Denied:
		return permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
	case s.facts.HasEnded(session):
		return permissionv1.Denial_DENIAL_SESSION_ENDED
	default:
		return permissionv1.Denial_DENIAL_UNSPECIFIED
	}
}

// on returns the holds on exactly the resource.
func (s *Subject) on(resource string) []Hold {
	start := 0
	if s.first != nil {
		i, ok := s.first[resource]
		if !ok {
			return nil
		}
		start = int(i)
	} else {
		for start < len(s.holds) && s.holds[start].Resource != resource {
			start++
		}
	}
	end := start
	for end < len(s.holds) && s.holds[end].Resource == resource {
		end++
	}
	return s.holds[start:end]
}

// Size returns about how many bytes of memory the subject takes.
func (s *Subject) Size() int {
	const fixed, perHold, perEntry = 160, 56, 32
	size := fixed + len(s.name) + perHold*len(s.holds) + perEntry*len(s.first)
	for _, h := range s.holds {
		size += len(h.Resource) + len(h.Role) + len(h.Grant)
	}
	for _, t := range s.facts.Teams {
		size += 2*16 + len(t)
	}
	for _, id := range s.facts.Ended {
		size += 16 + len(id)
	}
	return size
}
