package organization

import (
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestForget_onlyTheAdministratorThatIsGone(t *testing.T) {
	const acme, admin, sue = "organizations/acme", "organizations/acme/staff/admin", "organizations/acme/staff/sue"
	b := New()
	testkit.EachStore(t, "identity", b.Tables(), func(t *testing.T, s kv.Store) {
		listed := func(gone string) (administrator string) {
			t.Helper()
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if err := b.Forget(tx, acme, gone); err != nil {
					return err
				}
				shown, err := b.Get(tx, acme)
				if err != nil {
					return err
				}
				if shown.GetAdministrator() != "" || shown.GetOperator() {
					t.Error("Get shows who administers the organisation")
				}
				all, _, err := b.List(tx, nil, 10)
				if err != nil || len(all) != 1 {
					t.Fatalf("List: %v %v", all, err)
				}
				administrator = all[0].GetAdministrator()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return administrator
		}
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			_, err := b.table.Create(tx, &identityv1.Organization{Name: acme, Administrator: admin, Operator: true})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := listed(sue); got != admin {
			t.Errorf("after another is gone: %q", got)
		}
		if got := listed(admin); got != "" {
			t.Errorf("after it is gone: %q", got)
		}
	})
}
