package gateway

import (
	"net/http"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// revision answers every call with a customer of one revision, and refuses
// changes that are made on another.
func revision(etag string) func(string, proto.Message, proto.Message) error {
	return func(_ string, args, reply proto.Message) error {
		sent := ""
		switch r := args.(type) {
		case *identityv1.UpdateCustomerRequest:
			sent = r.GetCustomer().GetEtag()
		case *identityv1.DeleteCustomerRequest:
			sent = r.GetEtag()
		}
		if sent != "" && sent != etag {
			return errs.New(errs.Conflict, "ETAG_MISMATCH", "somebody else changed the resource; read it again")
		}
		if c, ok := reply.(*identityv1.Customer); ok {
			return fill(c, &identityv1.Customer{Name: "organizations/acme/customers/c1", Etag: etag})
		}
		return nil
	}
}

const customer = customers + "/c1"

func TestETag_ofAnswerIsItsEtag(t *testing.T) {
	h := newHandler(t, &calls{answer: revision("r7")})
	w := send(t, h, "GET", customer, "")
	if w.Header().Get("ETag") != `"r7"` || w.Header().Get("Cache-Control") != "private, no-cache" {
		t.Errorf("headers are %v", w.Header())
	}
	if got := w.Body.String(); got != `{"name":"organizations/acme/customers/c1","etag":"r7"}` {
		t.Errorf("the body is %s", got)
	}
}

func TestIfNoneMatch_sameIsNotModified(t *testing.T) {
	h := newHandler(t, &calls{answer: revision("r7")})
	for _, header := range []string{`"r7"`, `W/"r7"`, `"r6", "r7"`, `*`} {
		for _, coding := range []string{"identity", "gzip"} {
			w := send(t, h, "GET", customer, "", "If-None-Match", header, "Accept-Encoding", coding)
			if w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != `"r7"` || w.Header().Get("Content-Type") != "" {
				t.Errorf("%s: answered %d %v %q", header, w.Code, w.Header(), w.Body)
			}
		}
	}
	wantStatus(t, send(t, h, "GET", customer, "", "If-None-Match", `"r6"`), http.StatusOK)
	wantProblem(t, send(t, h, "DELETE", customer, "", "If-None-Match", `"r6"`), 400, "CONDITION_UNSUPPORTED")
}

func TestIfMatch_isTheRequestsEtag(t *testing.T) {
	c := &calls{answer: revision("r7")}
	h := newHandler(t, c)
	wantStatus(t, send(t, h, "DELETE", customer, "", "If-Match", `"r7"`), http.StatusOK)
	wantStatus(t, send(t, h, "PATCH", customer, `{"country":"CN"}`, "If-Match", `"r7"`), http.StatusOK)
	_, args := c.last()
	if r := args.(*identityv1.UpdateCustomerRequest); r.GetCustomer().GetEtag() != "r7" || !slices.Equal(r.GetUpdateMask().GetPaths(), []string{"country"}) {
		t.Errorf("got %v", r)
	}
	wantStatus(t, send(t, h, "DELETE", customer, "", "If-Match", `*`), http.StatusOK)
	wantStatus(t, send(t, h, "PATCH", customer, `{"etag":"r7"}`, "If-Match", `"r7"`), http.StatusOK)
}

func TestIfMatch_mismatchIs412(t *testing.T) {
	h := newHandler(t, &calls{answer: revision("r7")})
	wantProblem(t, send(t, h, "DELETE", customer, "", "If-Match", `"r6"`), http.StatusPreconditionFailed, "ETAG_MISMATCH")
	wantProblem(t, send(t, h, "DELETE", customer, "", "If-Match", `W/"r7"`), http.StatusPreconditionFailed, "ETAG_MISMATCH")
	// The same fault in a field is no precondition of HTTP's.
	wantProblem(t, send(t, h, "DELETE", customer+"?etag=r6", ""), http.StatusConflict, "ETAG_MISMATCH")
}

func TestIfMatch_badOnesAreRefused(t *testing.T) {
	h := newHandler(t, &calls{answer: revision("r7")})
	for _, header := range []string{`r7`, `"r7", "r8"`, `"r7`, `"r7" "r8"`, `""`} {
		wantProblem(t, send(t, h, "DELETE", customer, "", "If-Match", header), 400, "HEADER_INVALID")
	}
	wantProblem(t, send(t, h, "DELETE", customer+"?etag=r6", "", "If-Match", `"r7"`), 400, "ETAG_AMBIGUOUS")
	wantProblem(t, send(t, h, "POST", customers, `{}`, "If-Match", `"r7"`), 400, "CONDITION_UNSUPPORTED")
}

func TestPatch_maskIsWhatTheClientCanChange(t *testing.T) {
	c := &calls{answer: revision("r7")}
	h := newHandler(t, c)
	whole := `{"name":"organizations/acme/customers/c1","displayName":"Li","country":"","state":"ACCOUNT_STATE_ACTIVE","createTime":"2026-01-31T08:00:00Z","etag":"r7"}`
	wantStatus(t, send(t, h, "PATCH", customer, whole), http.StatusOK)
	_, args := c.last()
	paths := args.(*identityv1.UpdateCustomerRequest).GetUpdateMask().GetPaths()
	if slices.Sort(paths); !slices.Equal(paths, []string{"country", "display_name"}) {
		t.Errorf("the mask is %v", paths)
	}
	wantStatus(t, send(t, h, "PATCH", customer+"?updateMask=state,displayName", whole), http.StatusOK)
	_, args = c.last()
	if paths = args.(*identityv1.UpdateCustomerRequest).GetUpdateMask().GetPaths(); !slices.Equal(paths, []string{"state", "display_name"}) {
		t.Errorf("the client's own mask becomes %v", paths)
	}
}

func TestIdempotencyKey_isTheRequestID(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c)
	for _, key := range []string{"k-1", `"k-1"`} {
		wantStatus(t, send(t, h, "POST", customers, `{"country":"CN"}`, "Idempotency-Key", key), http.StatusOK)
		if _, args := c.last(); args.(*identityv1.CreateCustomerRequest).GetRequestId() != "k-1" {
			t.Errorf("%s: got %v", key, args)
		}
	}
	wantStatus(t, send(t, h, "POST", customers+"?requestId=k-1", `{}`, "Idempotency-Key", "k-1"), http.StatusOK)
	wantProblem(t, send(t, h, "POST", customers+"?requestId=k-2", `{}`, "Idempotency-Key", "k-1"), 400, "IDEMPOTENCY_KEY_AMBIGUOUS")
	wantProblem(t, send(t, h, "POST", customers, `{}`, "Idempotency-Key", "k-1", "Idempotency-Key", "k-2"), 400, "HEADER_INVALID")
	wantProblem(t, send(t, h, "POST", customers, `{}`, "Idempotency-Key", "k\t1"), 400, "HEADER_INVALID")
	wantProblem(t, send(t, h, "POST", "/identity/v1/sessions:login", `{}`, "Idempotency-Key", "k-1"), 400, "IDEMPOTENCY_KEY_UNSUPPORTED")
	wantStatus(t, send(t, h, "GET", customers, "", "Idempotency-Key", "k-1"), http.StatusOK)
}
