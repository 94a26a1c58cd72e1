package authz

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// checker allows what it lists, and remembers what it was asked.
type checker struct {
	allowed map[string]bool
	asked   []string
}

func (c *checker) Check(_ context.Context, r Request) (Answer, error) {
	for _, resource := range r.Resources {
		c.asked = append(c.asked, resource)
		if !c.allowed[resource] {
			return Answer{}, NewDenied(r.Permission, resource)
		}
	}
	return Answer{Allowed: true}, nil
}

func (c *checker) Which(ctx context.Context, r Request, variants []*permissionv1.Attributes) ([]Answer, error) {
	return Each(ctx, c.Check, r, variants)
}

func TestAuthorise(t *testing.T) {
	const own, foreign = "organizations/acme/things/a", "organizations/other/things/a"
	staff := authn.Caller{Name: "organizations/acme/staff/s1"}
	listed := authn.Caller{Name: "services/groupchat"}
	unlisted := authn.Caller{Name: "services/feedback"}
	permission := `permission: "test.things.get" resource: "name" services: "groupchat"`
	installation := `permission: "test.things.get" resource_name: "installation"`
	internal := `internal: true services: "groupchat"`
	for name, c := range map[string]struct {
		option    string
		caller    authn.Caller
		resources []string
		kind      errs.Kind // of the error, when reason is set
		reason    string
		asked     []string
	}{
		"granted":                        {permission, staff, []string{own}, 0, "", []string{own}},
		"not granted":                    {permission, staff, []string{own + "/b"}, errs.Denied, "PERMISSION_DENIED", []string{own + "/b"}},
		"another tenant":                 {permission, staff, []string{foreign}, errs.NotFound, "RESOURCE_NOT_FOUND", nil},
		"one of another tenant":          {permission, staff, []string{own, foreign}, errs.NotFound, "RESOURCE_NOT_FOUND", nil},
		"a tenant that begins alike":     {permission, staff, []string{"organizations/acme2"}, errs.NotFound, "RESOURCE_NOT_FOUND", nil},
		"all tenants":                    {permission, staff, []string{"organizations/-"}, errs.NotFound, "RESOURCE_NOT_FOUND", nil},
		"listed sister":                  {permission, listed, nil, 0, "", nil},
		"unlisted sister":                {permission, unlisted, nil, errs.Denied, "PERMISSION_DENIED", nil},
		"installation":                   {installation, staff, []string{Installation}, 0, "", []string{Installation}},
		"installation, unlisted sister":  {installation, listed, nil, errs.Denied, "PERMISSION_DENIED", nil},
		"internal, person":               {internal, staff, nil, errs.Denied, "PERMISSION_DENIED", nil},
		"internal, listed sister":        {internal, listed, nil, 0, "", nil},
		"internal, unlisted sister":      {internal, unlisted, nil, errs.Denied, "PERMISSION_DENIED", nil},
		"authenticated, person":          {"authenticated: true", staff, nil, 0, "", nil},
		"authenticated, unlisted sister": {"authenticated: true", listed, nil, errs.Denied, "PERMISSION_DENIED", nil},
		"public, nobody":                 {"public: true", authn.Caller{}, nil, 0, "", nil},
		"permission, nobody":             {permission, authn.Caller{}, []string{own}, errs.NotFound, "RESOURCE_NOT_FOUND", nil},
	} {
		t.Run(name, func(t *testing.T) {
			rule := LoadRules(testFile(t, c.option)).Lookup(testMethod)
			check := &checker{allowed: map[string]bool{own: true, Installation: true}}
			var heard []string
			guard := Guard{Checker: check, OnDenied: func(_ context.Context, r Request, method string) {
				heard = append(heard, r.Caller.Name+" "+method)
			}}
			_, err := guard.Authorise(t.Context(), c.caller, rule, c.resources)
			if errs.ReasonOf(err) != c.reason || err != nil && !errs.Is(err, c.kind) {
				t.Errorf("got %v, want %v %s", err, c.kind, c.reason)
			}
			if diff := cmp.Diff(c.asked, check.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if denied := len(heard) == 1 && heard[0] == c.caller.Name+" "+testMethod; denied != (err != nil) {
				t.Errorf("the hook heard %v of %v", heard, err)
			}
		})
	}
}

func TestAuthorise_unknowableIsNotADenial(t *testing.T) {
	rule := LoadRules(testFile(t, `permission: "test.things.get" resource: "name"`)).Lookup(testMethod)
	guard := Guard{
		Checker:  failing{},
		OnDenied: func(context.Context, Request, string) { t.Error("the hook heard of a fault") },
	}
	_, err := guard.Authorise(t.Context(), authn.Caller{Name: "organizations/acme/staff/s1"}, rule, []string{"organizations/acme"})
	if !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
}

type failing struct{}

func (failing) Check(context.Context, Request) (Answer, error) {
	return Answer{}, unknowable(errors.New("away"))
}

func (failing) Which(context.Context, Request, []*permissionv1.Attributes) ([]Answer, error) {
	return nil, unknowable(errors.New("away"))
}

func TestNewDenied_saysWhatIsMissing(t *testing.T) {
	e := NewDenied("test.things.get", "organizations/acme")
	want := map[string]string{"permission": "test.things.get", "resource": "organizations/acme"}
	if diff := cmp.Diff(want, e.Metadata); diff != "" || e.Kind != errs.Denied {
		t.Errorf("%v (-want +got):\n%s", e, diff)
	}
}
