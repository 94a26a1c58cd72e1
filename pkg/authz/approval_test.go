package authz

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

const approvalName = "organizations/acme/staff/s1/permissionChangeRequests/r1"

func TestParseApproval_takesOneName(t *testing.T) {
	if got, err := ParseApproval([]string{approvalName}); got != approvalName || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for name, values := range map[string][]string{
		"empty":             {""},
		"two":               {approvalName, approvalName},
		"a list":            {approvalName + ", " + approvalName},
		"an account":        {"organizations/acme/staff/s1"},
		"another resource":  {"organizations/acme/staff/s1/trainingRecords/r1"},
		"no request":        {"organizations/acme/staff/s1/permissionChangeRequests/"},
		"more behind it":    {approvalName + "/x"},
		"a space before it": {" " + approvalName},
		"too long":          {approvalName + strings.Repeat("x", 400)},
	} {
		_, err := ParseApproval(values)
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "APPROVAL_INVALID" || errs.From(err).Metadata["header"] != "Guildhall-Approval" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSettle(t *testing.T) {
	const a, b = "organizations/acme/things/a", "organizations/acme/things/b"
	yes := Answer{Resource: a, Allowed: true}
	once := Answer{Resource: a, Allowed: true, SingleUse: true}
	needed := Answer{Resource: a, Denial: permissionv1.Denial_DENIAL_APPROVAL_NEEDED}
	neededToo := Answer{Resource: b, Denial: permissionv1.Denial_DENIAL_APPROVAL_NEEDED}
	denied := Answer{Resource: b, Denial: permissionv1.Denial_DENIAL_NO_GRANT}
	again, alone := Approval{Name: approvalName, Call: "c1"}, Approval{Name: approvalName}
	used := errs.New(errs.Precondition, "ILLEGAL_STATE", "used")
	for name, c := range map[string]struct {
		approval Approval
		answers  []Answer
		use      error    // of using it up
		uses     []string // resources
		reason   string
	}{
		"yes":                            {again, []Answer{yes}, nil, nil, ""},
		"yes for once":                   {again, []Answer{once}, nil, []string{a}, ""},
		"yes for once, of no other call": {alone, []Answer{once}, nil, []string{a}, ""},
		"yes for once, somebody quicker": {again, []Answer{once}, used, []string{a}, "APPROVAL_NEEDED"},
		"none":                           {Approval{}, []Answer{needed}, nil, nil, "APPROVAL_NEEDED"},
		"used by this call before":       {again, []Answer{needed}, nil, []string{a}, ""},
		"used by another call":           {again, []Answer{needed}, used, []string{a}, "APPROVAL_NEEDED"},
		"used, and cannot be sent again": {alone, []Answer{needed}, nil, nil, "APPROVAL_NEEDED"},
		"another refusal":                {again, []Answer{once, denied}, nil, nil, "PERMISSION_DENIED"},
		"two that need one":              {again, []Answer{needed, neededToo}, nil, nil, "APPROVAL_NEEDED"},
		"two that need one, one has it":  {again, []Answer{once, neededToo}, nil, nil, "APPROVAL_NEEDED"},
		"unknowable":                     {again, []Answer{once}, errs.New(errs.Unavailable, "X", "x"), []string{a}, "PERMISSION_UNAVAILABLE"},
		"a service that knows no use":    {again, []Answer{needed}, errs.New(errs.Unimplemented, "X", "x"), []string{a}, "APPROVAL_NEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Caller: authn.Caller{Name: "organizations/acme/staff/s1"}, Permission: "test.things.get", Approval: c.approval}
			var uses []string
			err := r.Settle(t.Context(), c.answers, func(_ context.Context, req *permissionv1.UseApprovalRequest) error {
				uses = append(uses, req.GetResource())
				if req.GetParent() != "organizations/acme" || req.GetApproval() != approvalName || req.GetSubject() != r.Caller.Name || req.GetRequestId() == "" {
					t.Errorf("used %v", req)
				}
				return c.use
			})
			if errs.ReasonOf(err) != c.reason {
				t.Errorf("got %v, want %s", err, c.reason)
			}
			if diff := cmp.Diff(c.uses, uses); diff != "" {
				t.Errorf("used (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettle_endsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Request{}.Settle(ctx, []Answer{{Allowed: true, SingleUse: true}}, func(context.Context, *permissionv1.UseApprovalRequest) error {
		cancel()
		return errs.New(errs.Canceled, "CANCELED", "gone")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestSettle_aUseIsOfOneCall: the same call sent again is the same use, and
// whatever is another act is another one.
func TestSettle_aUseIsOfOneCall(t *testing.T) {
	id := func(change func(r *Request)) string {
		r := Request{
			Caller: authn.Caller{Name: "organizations/acme/staff/s1"}, Permission: "test.things.get",
			Approval: Approval{Name: approvalName, Call: "c1"},
		}
		change(&r)
		return r.useID("organizations/acme/things/a")
	}
	first := id(func(*Request) {})
	if again := id(func(*Request) {}); again != first || len(first) > 64 {
		t.Errorf("the same call is %q and %q", first, again)
	}
	for name, change := range map[string]func(r *Request){
		"call":       func(r *Request) { r.Approval.Call = "c2" },
		"caller":     func(r *Request) { r.Caller.Name += "0" },
		"approval":   func(r *Request) { r.Approval.Name += "0" },
		"permission": func(r *Request) { r.Permission += "s" },
		"no call":    func(r *Request) { r.Approval.Call = "" },
	} {
		if id(change) == first {
			t.Errorf("another %s is the same use", name)
		}
	}
}

func TestRefusal_ofWhatTakesTwoSaysWhatToDo(t *testing.T) {
	err := Refusal(permissionv1.Denial_DENIAL_APPROVAL_NEEDED, "test.things.get", "organizations/acme/things/a")
	want := map[string]string{"permission": "test.things.get", "resource": "organizations/acme/things/a", "header": "Guildhall-Approval"}
	if diff := cmp.Diff(want, err.Metadata); diff != "" || err.Kind != errs.Denied {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, word := range []string{"CreatePermissionChangeRequest", "Guildhall-Approval"} {
		if !strings.Contains(err.Message, word) {
			t.Errorf("%q does not say %s", err.Message, word)
		}
	}
}
