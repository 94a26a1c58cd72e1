package role_test

import (
	"slices"
	"strings"
	"testing"

	"guildhall.dev/services/permission/internal/role"
)

func TestSet_holdsDeclaredAndCustom(t *testing.T) {
	c := newRoles().Catalogue()
	set := c.Of([]string{"custom.orders.ship", "identity.staff.get", "custom.orders.cancel", "custom.orders.ship", "no.such.thing", "custom.orders"})
	for name, want := range map[string]bool{
		"identity.staff.get": true, "identity.staff.list": false,
		"custom.orders.ship": true, "custom.orders.cancel": true, "custom.orders.read": false,
	} {
		p, known := c.Lookup(name)
		if !known || set.Has(p) != want || (role.Set{}).Has(p) {
			t.Errorf("%s: known %t, in the set %t, want %t", name, known, set.Has(p), want)
		}
	}
	want := []string{"identity.staff.get", "custom.orders.cancel", "custom.orders.ship"}
	if got := slices.Collect(c.Names(set)); !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	if set.IsEmpty() || !(role.Set{}).IsEmpty() || !c.Of(nil).IsEmpty() || set.Size() <= c.Of(nil).Size() {
		t.Error("a set with members looks empty, or one without does not")
	}
}

func TestIsCustom(t *testing.T) {
	for name, want := range map[string]bool{
		"custom.orders.ship": true, "custom.purchaseOrders2.markPaid": true,
		"": false, "custom": false, "custom.": false, "custom.orders": false, "custom.orders.": false, "custom..ship": false,
		"custom.orders.ship.now": false, "custom.Orders.ship": false, "custom.orders.Ship": false, "custom.2orders.ship": false,
		"custom.orders.sh-ip": false, "identity.staff.get": false, "Custom.orders.ship": false,
		"custom." + strings.Repeat("o", 88) + ".ship": true, "custom." + strings.Repeat("o", 89) + ".ship": false,
	} {
		if got := role.IsCustom(name); got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
}
