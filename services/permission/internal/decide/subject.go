package decide

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"unique"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/subject"
)

// Hold is one grant as a check sees it.
type Hold struct {
	Resource string
	Role     string
	// Grant is the name of the grant.
	Grant string
	// Expires is the Unix second from which it does nothing; 0 is never.
	Expires int64
	// Deny says that it takes away.
	Deny bool
	// Condition is the expression under which it counts; "" is always.
	Condition string
	// Holders is the holder form that is the grant's subject, of those that
	// are kept under subject.AllHolders; "" of all others.
	Holders string
}

// Subject is what one name holds by itself: an account, a team, a segment, a
// class of accounts, or all holder forms of an organisation together. It is
// read-only once compiled, but for what is remembered of it, and shared.
//
// Roles are named and not expanded, and teams are names and not their grants:
// so a change of a role or of a team's grants is a change of one thing, however
// many accounts it reaches.
//
// There may be millions, so one is a few flat pieces of memory without a
// pointer for each grant: rows, in order of their resource, that say where in
// one text the names are, and an index of the rows by resource.
type Subject struct {
	// What each check reads comes first, on one line of the processor's cache.

	// barred says that facts may let it do nothing; see standing.
	barred bool
	// denies says that some row takes away.
	denies bool
	// reach is what was last found out about an account; see State.
	reach atomic.Pointer[reach]
	rows  []row
	// common is of the subject of all holder forms. It is read with each check,
	// so that an organisation without rules pays a look at a nil for them.
	common *common

	name string
	home unique.Handle[home]
	// facts is nil when there are none, as of most customers.
	facts *subject.Facts
	text  string
	roles []unique.Handle[string] // each once
	terms []terms                 // of the few rows that have some
	index []uint32                // see find
}

// common are rules that hold for a whole organisation; nil where it has none of
// a kind.
type common struct {
	separation *Separation
	fields     *Fields
}

func (c *common) separates() *Separation {
	if c == nil {
		return nil
	}
	return c.separation
}

func (c *common) restricts() *Fields {
	if c == nil {
		return nil
	}
	return c.fields
}

// with gives the subject rules, before it is shared; nil when there are none.
func (s *Subject) with(c common) {
	s.common = nil
	if c != (common{}) {
		s.common = &c
	}
}

// row is one grant. Its names are parts of Subject.text.
type row struct {
	expires         int64
	resource, grant uint32 // where they begin
	resourceLength  uint16
	grantLength     uint16
	role            uint32 // of Subject.roles
	terms           uint32 // 1 + of Subject.terms; 0 is none
	deny            bool
}

// terms are what few grants have.
type terms struct {
	condition unique.Handle[string] // of ""
	// resource and role are the two parts of a holder form; resource is
	// relative, role the zero Handle of a grant to anything else.
	resource string
	role     unique.Handle[string]
}

// home has the names that all accounts of an organisation share. Each
// organisation's is in memory once.
type home struct {
	organization, staff, customers, everyone, holders, required string
}

func homeOf(organization string) unique.Handle[home] {
	return unique.Make(home{
		organization: organization, staff: subject.AllStaff(organization), customers: subject.AllCustomers(organization),
		everyone: subject.Everyone(organization), holders: subject.AllHolders(organization),
		required: qualification.RequirementsOf(organization),
	})
}

// few is how many rows are looked through without an index. It also keeps
// small subjects small: most accounts hold next to nothing by themselves.
const few = 8

// Compile returns the subject of the name. It sorts holds and keeps facts.
func Compile(name string, facts subject.Facts, holds []Hold) *Subject {
	organization := subject.OrganizationOf(name)
	s := &Subject{name: name, home: homeOf(organization)}
	if facts.Denied || facts.Parent != "" || facts.EndedThrough != "" || len(facts.Teams)+len(facts.Segments)+len(facts.Ended) > 0 {
		s.facts = &facts
		s.barred = facts.Denied || facts.EndedThrough != "" || len(facts.Ended) > 0
	}
	if len(holds) == 0 {
		return s
	}
	slices.SortFunc(holds, compareHolds)
	s.rows = make([]row, 0, len(holds))
	w := writer{s: s, organization: organization, roles: make(map[string]uint32)}
	for _, h := range holds {
		w.add(h)
	}
	s.text = strings.Clone(w.text.String()) // of its own length
	s.roles, s.terms = slices.Clip(s.roles), slices.Clip(s.terms)
	s.buildIndex()
	return s
}

func compareHolds(a, b Hold) int {
	if c := strings.Compare(a.Resource, b.Resource); c != 0 {
		return c
	}
	if c := strings.Compare(a.Role, b.Role); c != 0 {
		return c
	}
	return strings.Compare(a.Grant, b.Grant)
}

// writer adds rows to a subject.
type writer struct {
	s            *Subject
	organization string
	text         strings.Builder
	roles        map[string]uint32
	last         string // the resource of the row before
}

func (w *writer) add(h Hold) {
	r := row{expires: h.Expires, deny: h.Deny}
	if resource := relative(w.organization, h.Resource); len(w.s.rows) > 0 && resource == w.last {
		before := w.s.rows[len(w.s.rows)-1]
		r.resource, r.resourceLength = before.resource, before.resourceLength
	} else {
		r.resource, r.resourceLength = w.write(resource)
		w.last = resource
	}
	grant, _ := strings.CutPrefix(h.Grant, w.organization+grantCollection)
	r.grant, r.grantLength = w.write(grant)
	role, known := w.roles[h.Role]
	if !known {
		role = uint32(len(w.s.roles))
		w.roles[h.Role] = role
		w.s.roles = append(w.s.roles, unique.Make(h.Role))
	}
	r.role = role
	if h.Condition != "" || h.Holders != "" {
		t := terms{condition: unique.Make(h.Condition)}
		if on, role, ok := subject.ParseHolders(h.Holders); ok {
			t.resource, t.role = relative(w.organization, on), unique.Make(role)
		}
		w.s.terms = append(w.s.terms, t)
		r.terms = uint32(len(w.s.terms))
	}
	w.s.denies = w.s.denies || h.Deny
	w.s.rows = append(w.s.rows, r)
}

func (w *writer) write(text string) (at uint32, length uint16) {
	at = uint32(w.text.Len())
	w.text.WriteString(text)
	return at, uint16(len(text))
}

// grantCollection is what stands before the id of a grant.
const grantCollection = "/grants/"

// relative returns the name without the organisation that it begins with; any
// other name is returned whole. So relative names of an organisation begin
// with a slash, or are empty.
func relative(organization, name string) string {
	if within(name, organization) {
		return name[len(organization):]
	}
	return name
}

func absolute(organization, name string) string {
	if name == "" || name[0] == '/' {
		return organization + name
	}
	return name
}

// seed makes it impossible to choose names that fall on one place of an index.
var seed = maphash.MakeSeed()

// buildIndex makes an open-addressing table of the first row of each resource,
// at most two thirds full, in which an entry costs a few bytes; a Go map would
// cost as much as the row.
func (s *Subject) buildIndex() {
	if len(s.rows) <= few {
		return
	}
	distinct := 0
	s.eachFirst(func(int, string) { distinct++ })
	size := 16
	for size*2 < distinct*3 {
		size *= 2
	}
	s.index = make([]uint32, size)
	s.eachFirst(func(i int, resource string) {
		at := maphash.String(seed, resource)
		for ; s.index[at&uint64(size-1)] != 0; at++ {
		}
		s.index[at&uint64(size-1)] = uint32(i) + 1
	})
}

func (s *Subject) eachFirst(each func(i int, resource string)) {
	for i, r := range s.rows {
		if i == 0 || r.resource != s.rows[i-1].resource || r.resourceLength != s.rows[i-1].resourceLength {
			each(i, s.resourceOf(r))
		}
	}
}

// on returns the rows on exactly the resource of the level.
func (s *Subject) on(l level) []row {
	start := 0
	if s.index != nil {
		mask := uint64(len(s.index) - 1)
		at := l.hash
		for ; ; at++ {
			i := s.index[at&mask]
			if i == 0 {
				return nil
			}
			if start = int(i - 1); s.resourceOf(s.rows[start]) == l.name {
				break
			}
		}
	} else {
		for start < len(s.rows) && s.resourceOf(s.rows[start]) != l.name {
			start++
		}
	}
	end := start
	for end < len(s.rows) && s.resourceOf(s.rows[end]) == l.name {
		end++
	}
	return s.rows[start:end]
}

func (s *Subject) resourceOf(r row) string {
	return s.text[r.resource : r.resource+uint32(r.resourceLength)]
}

// grantOf returns the name of the row's grant.
func (s *Subject) grantOf(r row) string {
	id := s.text[r.grant : r.grant+uint32(r.grantLength)]
	if strings.Contains(id, "/") || id == "" {
		return id // it was not of the organisation's grants
	}
	return s.home.Value().organization + grantCollection + id
}

// termsOf returns the row's terms; the zero terms when it has none.
func (s *Subject) termsOf(r row) terms {
	if r.terms == 0 {
		return terms{}
	}
	return s.terms[r.terms-1]
}

// Name returns the subject's name.
func (s *Subject) Name() string { return s.name }

// Facts returns what is known of the subject beside its grants; the slices are
// shared.
func (s *Subject) Facts() subject.Facts {
	if s.facts == nil {
		return subject.Facts{}
	}
	return *s.facts
}

// Holds returns what the subject was compiled from, by resource, role and
// grant.
func (s *Subject) Holds() []Hold {
	holds := make([]Hold, len(s.rows))
	for i, r := range s.rows {
		holds[i] = s.hold(r)
	}
	return holds
}

func (s *Subject) hold(r row) Hold {
	organization := s.home.Value().organization
	h := Hold{
		Resource: absolute(organization, s.resourceOf(r)), Role: s.roles[r.role].Value(), Grant: s.grantOf(r),
		Expires: r.expires, Deny: r.deny,
	}
	if r.terms == 0 {
		return h
	}
	t := s.termsOf(r)
	h.Condition = t.condition.Value()
	if t.role != (unique.Handle[string]{}) {
		h.Holders = subject.Holders(absolute(organization, t.resource), t.role.Value())
	}
	return h
}

// Size returns about how many bytes of memory the subject takes. Names of
// roles and expressions are shared by all who have them and not counted.
func (s *Subject) Size() int {
	const fixed, perRow, perName, perTerms, factsFixed = 184, 40, 16, 32, 112
	const reachFixed, perKept = 160, 16
	size := fixed + len(s.name) + perRow*cap(s.rows) + len(s.text) + 4*cap(s.index) + 8*cap(s.roles) + perTerms*cap(s.terms)
	for _, t := range s.terms {
		size += len(t.resource)
	}
	if _, _, isAccount := authn.ParseName(s.name); isAccount {
		size += reachFixed
	}
	if s.facts == nil {
		return size
	}
	size += perKept*(len(s.facts.Teams)+len(s.facts.Segments)) + factsFixed + len(s.facts.Parent)
	for _, names := range [][]string{s.facts.Teams, s.facts.Segments, s.facts.Ended} {
		for _, name := range names {
			size += perName + len(name)
		}
	}
	return size
}
