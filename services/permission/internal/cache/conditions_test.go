package cache

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// TestView_propertiesAreReadWhenTheyAreNeeded and believed as long as nothing
// touched them.
func TestView_propertiesAreReadWhenTheyAreNeeded(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(s.store, nil)
	writes := c.Writes()
	gold := &structpb.Struct{Fields: map[string]*structpb.Value{"level": structpb.NewStringValue("gold")}}
	read := func() (p *structpb.Struct) {
		t.Helper()
		if _, err := c.View(t.Context(), acme, func(facts decide.Facts) (err error) {
			p, err = facts.Properties(sue)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got := read(); got != nil {
		t.Errorf("properties of a name without: %v", got)
	}
	s.change(writes, func(tx kv.Tx) error { _, _, err := s.loader.Properties.Put(tx, at, sue, gold, ""); return err })
	if got := read(); !proto.Equal(got, gold) {
		t.Errorf("got %v, want %v", got, gold)
	}
	before := c.Stats().Store.Load()
	s.change(writes, func(tx kv.Tx) error { return s.loader.Subjects.SetState(tx, at, sue, "SUSPENDED") })
	if got := read(); !proto.Equal(got, gold) || c.Stats().Store.Load() != before {
		t.Errorf("got %v, and the store was read although nothing touched %s", got, property.Entry(sue))
	}
	s.change(writes, func(tx kv.Tx) error { _, _, err := s.loader.Properties.Delete(tx, at, sue, ""); return err })
	if got := read(); got != nil {
		t.Errorf("deleted properties: %v", got)
	}
}

// TestRedis_sealLosesNothing seals a subject with all that one can have.
func TestRedis_sealLosesNothing(t *testing.T) {
	s := newSuite(t, "bolt")
	client, _ := dialRedis(t)
	second := s.reader(s.store, client).second
	facts := subject.Facts{
		Denied: true, Teams: []string{acme + "/teams/a", acme + "/teams/b"}, Segments: []string{acme + "/segments/gold"},
		Parent: acme + "/teams/top", Ended: []string{"s1"},
	}
	holds := []decide.Hold{
		{Resource: acme, Role: "roles/viewer", Grant: acme + "/grants/g1", Expires: 5, Deny: true},
		{Resource: acme, Role: "roles/viewer", Grant: acme + "/grants/g2", Condition: "true"},
		{Resource: "installation", Role: "roles/operator", Grant: acme + "/grants/g3", Condition: "false", Holders: acme + "#roles/viewer"},
	}
	want := decide.Compile(sue, facts, holds)
	sealed, err := second.seal(sue, subjectEntry(revision.Revision{Number: 7, Mark: 9}, want))
	if err != nil {
		t.Fatal(err)
	}
	got, err := second.open(sue, sealed)
	if err != nil {
		t.Fatal(err)
	}
	f := got.subject.Facts()
	if !slices.Equal(got.subject.Holds(), want.Holds()) || !f.Denied || f.Parent != facts.Parent || !slices.Equal(f.Teams, facts.Teams) ||
		!slices.Equal(f.Segments, facts.Segments) || !slices.Equal(f.Ended, facts.Ended) || got.at.Number != 7 || got.at.Mark != 9 {
		t.Errorf("got %+v of %+v, want %+v of %+v", got.subject.Holds(), f, want.Holds(), facts)
	}
}
