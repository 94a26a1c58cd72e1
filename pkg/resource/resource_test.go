package resource_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
)

const (
	group    = resource.Pattern("organizations/{organization}/groups/{group}")
	settings = resource.Pattern("organizations/{organization}/settings")
)

func TestParse_names(t *testing.T) {
	long := strings.Repeat("a", resource.MaxIDLength)
	for _, c := range []struct {
		pattern resource.Pattern
		name    string
		want    []string
	}{
		{group, "organizations/acme/groups/g1", []string{"acme", "g1"}},
		{group, "organizations/a/groups/0-0", []string{"a", "0-0"}},
		{group, "organizations/acme/groups/" + long, []string{"acme", long}},
		{group, "organizations/acme/groups/019b0c5e-7b8a-7c3d-9e4f-0123456789ab", []string{"acme", "019b0c5e-7b8a-7c3d-9e4f-0123456789ab"}},
		{settings, "organizations/acme/settings", []string{"acme"}},
	} {
		ids, err := c.pattern.Parse("name", c.name)
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("Parse(%s) = %q, %v; want %q", c.name, ids, err, c.want)
		}
		if got := c.pattern.Format(ids...); got != c.name {
			t.Errorf("Format(%q) = %s, want %s", ids, got, c.name)
		}
	}
}

func TestParse_othersAreInvalidOnTheirField(t *testing.T) {
	for _, name := range []string{
		"", "/", "organizations", "organizations/acme", "organizations/acme/groups", "organizations/acme/groups/",
		"organizations//groups/g1", "/organizations/acme/groups/g1", "organizations/acme/groups/g1/",
		"organizations/acme/groups/g1/members/m1", "organizations/acme/teams/g1", "Organizations/acme/groups/g1",
		"organizations/-/groups/g1", "organizations/acme/groups/-a", "organizations/acme/groups/a-",
		"organizations/Acme/groups/g1", "organizations/a_b/groups/g1", "organizations/a.b/groups/g1",
		"organizations/../groups/g1", "organizations/a%2fb/groups/g1", "organizations/a b/groups/g1",
		"organizations/acme/groups/g1\n", "organizations/acme/groups/g1\x00", "organizations/ａcme/groups/g1",
		"organizations/аcme/groups/g1", "organizations/café/groups/g1", "organizations/{organization}/groups/{group}",
		"organizations/acme/groups/" + strings.Repeat("a", resource.MaxIDLength+1),
	} {
		ids, err := group.Parse("group.name", name)
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != resource.Reason {
			t.Errorf("Parse(%q) = %q, %v; want invalid", name, ids, err)
			continue
		}
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "group.name" {
			t.Errorf("violations = %v, want one of group.name", v)
		}
	}
}

func TestFormat_tooFewIdsMakeNoName(t *testing.T) {
	if name := group.Format("acme"); group.Matches(name) {
		t.Errorf("Format with one id of two makes the name %s", name)
	}
}

func TestParent(t *testing.T) {
	for name, want := range map[string]string{
		"organizations/acme/groups/g1/messages/42": "organizations/acme/groups/g1",
		"organizations/acme/groups/g1":             "organizations/acme",
		"organizations/acme":                       "", "organizations": "", "": "",
	} {
		if got := resource.Parent(name); got != want {
			t.Errorf("Parent(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestOrganization(t *testing.T) {
	for name, want := range map[string]string{
		"organizations/acme": "acme", "organizations/acme/groups/g1": "acme",
		"organizations/": "", "organizations/-": "", "organizations/Acme/groups/g1": "", "accounts/a": "", "": "",
	} {
		got, ok := resource.Organization(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("Organization(%q) = %q, %t; want %q", name, got, ok, want)
		}
	}
}

func TestCheckID(t *testing.T) {
	if err := resource.CheckID("group_id", "tea-room-7"); err != nil {
		t.Error(err)
	}
	if err := resource.CheckID("group_id", "Tea Room"); errs.ReasonOf(err) != resource.Reason {
		t.Errorf("CheckID of a bad id = %v", err)
	}
}

func TestNewID_isAUUIDv7OfNowAndOrders(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	id := resource.NewID()
	u, err := uuid.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	sec, nsec := u.Time().UnixTime()
	at := time.Unix(sec, nsec)
	if u.Version() != 7 || u.Variant() != uuid.RFC4122 || !resource.ValidID(id) || at.Before(before) || at.After(time.Now()) {
		t.Errorf("NewID = %s: version %d, variant %v, time %v", id, u.Version(), u.Variant(), at)
	}
	if resource.NewID() == id {
		t.Error("two ids are equal")
	}
}

// What parses formats back to the same name, and holds nothing but what an id may.
func TestParse_roundTrip(t *testing.T) {
	id := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`)
	rapid.Check(t, func(rt *rapid.T) {
		want := []string{id.Draw(rt, "organization"), id.Draw(rt, "group")}
		got, err := group.Parse("name", group.Format(want...))
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("Parse(Format(%q)) = %q, %v", want, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("organizations/acme/groups/g1")
	f.Add("organizations/аcme/groups/g1")
	f.Add("organizations//groups/")
	f.Fuzz(func(t *testing.T, name string) {
		ids, err := group.Parse("name", name)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("error = %v, want invalid", err)
			}
			return
		}
		if again := group.Format(ids...); again != name {
			t.Errorf("%q parses to %q, which formats to %q", name, ids, again)
		}
		if org, ok := resource.Organization(name); !ok || org != ids[0] || resource.Parent(name) != "organizations/"+org {
			t.Errorf("%q: organization %q, parent %q", name, org, resource.Parent(name))
		}
	})
}
