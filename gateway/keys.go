package gateway

import (
	"context"
	"net/http"

	"google.golang.org/grpc/metadata"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// keys serves the keys that access tokens are signed with where programs of
// others look for them (RFC 7517).
func (e *edge) keys(w http.ResponseWriter, r *http.Request) {
	q, a := requestOf(r.Context()), e.apis["identity"]
	if len(q.query) > 0 {
		e.fail(w, q, errs.New(errs.Invalid, problem.QueryParameterUnknown, "the key set has no query parameters"))
		return
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(r.Context(), q.metadata()), q.timeout)
	defer cancel()
	set, err := identityv1.NewAuthServiceClient(a.conn.ClientConnInterface).GetJwks(ctx, &identityv1.GetJwksRequest{})
	if err != nil {
		e.fail(w, q, rpc.FromStatus(err))
		return
	}
	text, err := a.codec.Marshal(set)
	if err != nil {
		e.fail(w, q, err)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	// Short, because a key that is replaced in an emergency has to go soon.
	w.Header().Set("Cache-Control", "public, max-age=60")
	_, _ = w.Write(text)
}

// describe adds who may call each operation, by its id in the OpenAPI
// document, for the docs page. The document's generator does not know it.
func (a *api) describe(permissions map[string]string) {
	for _, b := range a.bindings {
		id := string(b.method.Parent().Name()) + "_" + string(b.method.Name())
		switch rule := b.authorization.GetRule().(type) {
		case *optionsv1.Authorization_Permission:
			permissions[id] = rule.Permission
		case *optionsv1.Authorization_Public:
			permissions[id] = "public"
		case *optionsv1.Authorization_Authenticated:
			permissions[id] = "authenticated"
		}
	}
}
