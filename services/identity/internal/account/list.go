package account

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/naming"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/stage"
)

// Query selects the accounts of one kind and organisation, by name.
type Query struct {
	Kind         authn.Kind
	Organization string
	Filter       Filter
	// ShowDeleted includes deleted accounts.
	ShowDeleted bool
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// Filter is conditions that all have to hold. The zero Filter selects all.
type Filter struct {
	// terms are in the order in which they are to be served: the first by its
	// index, and the others by a look at what is found.
	terms filter.Terms
	name  naming.Query // of the term on the name
}

// Fields of a filter that are no indexes of the same name.
const (
	displayName = "display_name"
	inSegment   = "segment"
)

// served are the fields of a filter, from the one that leaves the fewest
// accounts to the one that leaves the most.
var served = []string{byEmail, byPhone, byExternalID, displayName, inSegment, byOwner, byTag, byStage, byCountry, unowned, byState}

// unowned stands for an owner condition that finds customers without one, who may
// be most.
const unowned = "unowned"

func rank(t filter.Term) int {
	if t.Field == byOwner && t.Text == "" {
		return slices.Index(served, unowned)
	}
	return slices.Index(served, t.Field)
}

// maxExamined is how many accounts of one index entry after the other are
// looked at for a page, so that one which finds little among many ends in a few
// milliseconds too.
const maxExamined = 200

// ParseFilter reads the filter of a List request. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(kind authn.Kind, organization, text string) (Filter, error) {
	fields := []filter.Field{
		{Name: byState, Type: filter.Enum, Values: []string{StateName(pending), StateName(active), StateName(suspended), StateName(gone), StateName(erased), StateName(merged)}},
		{Name: displayName, Type: filter.Words},
	}
	if kind != authn.ServiceAccount {
		fields = append(fields, filter.Field{Name: byEmail, Type: filter.String})
	}
	if kind == authn.Customer {
		fields = append(fields, filter.Field{Name: byStage, Type: filter.Enum, Values: stageNames()})
		for _, name := range []string{byPhone, byExternalID, byCountry, byTag, byOwner, inSegment} {
			fields = append(fields, filter.Field{Name: name, Type: filter.String})
		}
	}
	terms, err := filter.Parse(text, fields...)
	if err != nil {
		return Filter{}, err
	}
	f := Filter{terms: terms}
	for i := range terms {
		t, ok := &terms[i], true
		switch t.Field {
		case byEmail:
			t.Text = contact.FoldEmail(t.Text)
		case displayName:
			if f.name, ok = naming.Parse(t.Text); !ok {
				return Filter{}, errs.InvalidField("filter", "FILTER_INVALID", "display_name: begin with a word of two letters at least, or a Chinese character")
			}
		case inSegment:
			if !segment.Pattern.Matches(t.Text) || !strings.HasPrefix(t.Text, organization+"/") {
				return Filter{}, errs.InvalidField("filter", "FILTER_INVALID", "segment: name one of the organisation, as in "+organization+"/segments/gold")
			}
		case byOwner:
			if t.Text != "" && (!StaffPattern.Matches(t.Text) || !strings.HasPrefix(t.Text, organization+"/")) {
				return Filter{}, errs.InvalidField("filter", "FILTER_INVALID", "owner: name one of the staff, as in "+organization+`/staff/s1, or none: ""`)
			}
		}
	}
	slices.SortFunc(terms, func(a, b filter.Term) int { return rank(a) - rank(b) })
	return f, nil
}

func stageNames() []string {
	names := make([]string, 0, len(stage.All()))
	for _, s := range stage.All() {
		names = append(names, stage.Name(s))
	}
	return names
}

// Segment returns the segment that the filter names; "" for none.
func (f Filter) Segment() string {
	t, _ := f.terms.Lookup(inSegment)
	return t.Text
}

// wantsMerged reports whether the filter asks for merged customers by their state:
// who asks for anything else finds whom they were merged into.
func (f Filter) wantsMerged() bool {
	t, _ := f.terms.Lookup(byState)
	return t.Text == StateName(merged)
}

// field returns the field that is served by its index; "" for none.
func (f Filter) field() string {
	if len(f.terms) == 0 {
		return ""
	}
	return f.terms[0].Field
}

// List returns a page of the accounts that q selects, by name, and where to go
// on behind it, nil at the end. A page may have less than the limit, or nothing,
// and more behind it: where one condition finds many accounts and another takes
// most of them away. The error is NotFound (SEGMENT_NOT_FOUND).
func (b *Book) List(r kv.Reader, q Query) ([]kv.Record[*storev1.Account], []byte, error) {
	p := &page{book: b, r: r, q: q}
	var err error
	switch q.Filter.field() {
	case byEmail, byPhone, byExternalID:
		err = p.lookUp()
	case inSegment:
		err = p.members()
	default:
		err = p.scan()
	}
	return p.found, p.next, err
}

// page is a page in the making.
type page struct {
	book     *Book
	r        kv.Reader
	q        Query
	examined int
	found    []kv.Record[*storev1.Account]
	// last is where the newest of what was looked at is, and next where the
	// page after this one begins.
	last, next []byte
}

// lookUp serves the unique indexes, which hold one account at most.
func (p *page) lookUp() error {
	t := p.q.Filter.terms[0]
	if t.Text == "" {
		return nil
	}
	rec, found, err := p.book.table(p.q.Kind).FindBy(p.r, t.Field, kv.Key{kv.String(p.q.Organization), kv.Personal(t.Text)})
	if err != nil || !found {
		return err
	}
	_, err = p.look(rec, nil)
	return err
}

// scan serves the others of the account's own indexes.
func (p *page) scan() error {
	from := kv.Query{Index: p.q.Filter.field(), Prefix: kv.Key{kv.String(p.q.Organization)}, After: p.q.After}
	switch {
	case from.Index == displayName:
		from.Index, from.Prefix = byName, from.Prefix.With(kv.Personal(p.q.Filter.name.Lead()))
	case from.Index != "":
		from.Prefix = from.Prefix.With(kv.String(p.q.Filter.terms[0].Text))
	case !p.q.ShowDeleted:
		from.Index = byLive
	}
	for rec, err := range p.book.table(p.q.Kind).Scan(p.r, from) {
		if err != nil {
			return err
		}
		if more, err := p.look(rec, rec.Position); !more || err != nil {
			return err
		}
	}
	return nil
}

// members serves a segment: a chunk of its members at a time.
func (p *page) members() error {
	for after := p.q.After; ; {
		members, err := p.book.cfg.Segments.Roll(p.r, p.q.Filter.Segment(), after, min(p.q.Limit+1, maxExamined))
		if err != nil || len(members) == 0 {
			return err
		}
		keys := make([]kv.Key, len(members))
		for i, m := range members {
			keys[i] = key(m.Value.GetCustomer())
		}
		records, err := p.book.customers.GetMany(p.r, keys)
		if err != nil {
			return err
		}
		for i, rec := range records {
			if !rec.Found() {
				continue // its memberships are about to go too
			}
			if more, err := p.look(rec, members[i].Position); !more || err != nil {
				return err
			}
		}
		after = members[len(members)-1].Position
	}
}

// look takes an account into the page if it is one that is asked for, and
// reports whether to go on.
func (p *page) look(rec kv.Record[*storev1.Account], position []byte) (more bool, err error) {
	if p.examined == maxExamined {
		p.next = p.last
		return false, nil
	}
	ok, err := p.selects(rec.Value)
	if err != nil {
		return false, err
	}
	if ok && len(p.found) == p.q.Limit {
		p.next = p.last
		return false, nil
	}
	if ok {
		p.found = append(p.found, rec)
	} else {
		p.examined++
	}
	p.last = position
	return true, nil
}

func (p *page) selects(a *storev1.Account) (bool, error) {
	if deleted(a) && !p.q.ShowDeleted || a.GetState() == merged && !p.q.Filter.wantsMerged() {
		return false, nil
	}
	for i, t := range p.q.Filter.terms {
		holds, err := p.holds(a, t, i == 0)
		if err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

// holds reports whether a term is true of an account; indexed says that the
// account was found by it.
func (p *page) holds(a *storev1.Account, t filter.Term, indexed bool) (bool, error) {
	switch t.Field {
	case displayName:
		leads := indexed || slices.Contains(naming.Terms(a.GetDisplayName()), p.q.Filter.name.Lead())
		return leads && p.q.Filter.name.Matches(a.GetDisplayName()), nil
	case inSegment:
		if indexed {
			return true, nil
		}
		return p.book.cfg.Segments.Has(p.r, t.Text, a.GetName())
	case byTag:
		return slices.Contains(a.GetTags(), t.Text), nil
	case byOwner:
		return a.GetOwner() == t.Text, nil
	}
	return t.Text != "" && valueOf(a, t.Field) == t.Text, nil
}

// valueOf returns what a field that has one value is compared with.
func valueOf(a *storev1.Account, field string) string {
	switch field {
	case byEmail:
		return contact.FoldEmail(a.GetEmail())
	case byPhone:
		return a.GetPhone()
	case byExternalID:
		return a.GetExternalId()
	case byCountry:
		return a.GetCountry()
	case byStage:
		return stage.Name(a.GetStage())
	default:
		return StateName(a.GetState())
	}
}

// FindByEmail returns the account of the kind that has the mail address, and
// whether there is one.
func (b *Book) FindByEmail(r kv.Reader, kind authn.Kind, organization, email string) (*storev1.Account, bool, error) {
	email = contact.FoldEmail(email)
	if email == "" {
		return nil, false, nil
	}
	rec, found, err := b.table(kind).FindBy(r, byEmail, kv.Key{kv.String(organization), kv.Personal(email)})
	return rec.Value, found, err
}

// FindByPhone returns the customer that has the phone number, in E.164, and
// whether there is one.
func (b *Book) FindByPhone(r kv.Reader, organization, phone string) (*storev1.Account, bool, error) {
	if phone == "" {
		return nil, false, nil
	}
	rec, found, err := b.customers.FindBy(r, byPhone, kv.Key{kv.String(organization), kv.Personal(phone)})
	return rec.Value, found, err
}

// Live returns a page of an organisation's customers that are not deleted, by
// name, and where to go on behind it, nil at the end.
func (b *Book) Live(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.Account, []byte, error) {
	page, err := b.customers.List(r, kv.Query{Index: byLive, Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	out := make([]*storev1.Account, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, err
}

// LiveOf returns those customers of the names that there are and that are not
// deleted, in the order of the names.
func (b *Book) LiveOf(r kv.Reader, names []string) (live []*storev1.Account, err error) {
	keys := make([]kv.Key, len(names))
	for i, name := range names {
		keys[i] = key(name)
	}
	records, err := b.customers.GetMany(r, keys)
	for _, rec := range records {
		if rec.Found() && !deleted(rec.Value) {
			live = append(live, rec.Value)
		}
	}
	return live, err
}
