package collector

import (
	"testing"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// TestNext_noneIsLeftOfAnotherVersion: a takeout that waits for a service that there is
// no more, when it has all others, has no next one and begins anew.
func TestNext_noneIsLeftOfAnotherVersion(t *testing.T) {
	c := New(Config{Services: []Service{{Name: "groupchat"}, {Name: "permission"}}})
	if s, found := c.next(&storev1.Takeout{Services: []string{"groupchat"}}); !found || s.Name != "permission" {
		t.Errorf("the next one is %q, %t", s.Name, found)
	}
	if s, found := c.next(&storev1.Takeout{Services: []string{"groupchat", "permission"}}); found {
		t.Errorf("the next one is %q, want none", s.Name)
	}
}
