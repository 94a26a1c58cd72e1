package fieldmask_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestPaths(t *testing.T) {
	team := &identityv1.Team{Name: "organizations/acme/teams/t1", DisplayName: "Sales", Etag: "x"}
	for _, c := range []struct {
		name string
		mask []string
		want []string
	}{
		{"empty is what is set", nil, []string{"display_name"}},
		{"star is all", []string{"*"}, []string{"description", "display_name"}},
		{"unset is cleared", []string{"description"}, []string{"description"}},
		{"twice is once", []string{"display_name", "display_name"}, []string{"display_name"}},
		{"name and etag are passed over", []string{"name", "etag", "display_name"}, []string{"display_name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fieldmask.Paths(&fieldmaskpb.FieldMask{Paths: c.mask}, team, "display_name", "description")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestPaths_otherFieldsRefused(t *testing.T) {
	for _, path := range []string{"create_time", "nothing", "display_name.x", ""} {
		_, err := fieldmask.Paths(&fieldmaskpb.FieldMask{Paths: []string{path}}, &identityv1.Team{}, "display_name")
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != fieldmask.Reason {
			t.Errorf("path %q: %v", path, err)
		}
	}
}
