package authzen

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"guildhall.dev/gateway/internal/binding"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// offer says of a denial that what it denies can be asked for.
type offer struct {
	Endpoint     string `json:"endpoint"`
	ExpiresAt    string `json:"expires_at"`
	BindingToken string `json:"binding_token"`
}

// cures are the denials that can be asked for, and by what. The others are not
// for approvers to lift: a suspension, an ended session, duties that exclude
// each other, a missing certificate, a grant that denies, or what is not known.
var cures = map[permissionv1.Denial]binding.Kind{
	permissionv1.Denial_DENIAL_NO_GRANT:        binding.Access,
	permissionv1.Denial_DENIAL_APPROVAL_NEEDED: binding.Approval,
}

// offer adds to a decision of no how to ask for what it denies, and reports
// whether that is possible. The decision's reason is bound too, so it has to be
// there.
func (j *judge) offer(d *decision, q *question, denial permissionv1.Denial) (bool, error) {
	kind, ok := cures[denial]
	if !ok {
		return false, nil
	}
	bound, err := q.bound(j.r)
	if err != nil {
		return false, err
	}
	bound.Kind, bound.Reason = kind, d.Context.Reason
	bound.Expires = j.view.Now.Add(j.api.cfg.RequestWithin).Truncate(time.Second)
	d.Context.AccessRequest = &offer{
		Endpoint: j.r.Base + requestsPath, ExpiresAt: bound.Expires.UTC().Format(time.RFC3339), BindingToken: j.api.cfg.Tokens.Of(bound),
	}
	return true, nil
}

// bound returns what a binding token binds beside what the decision says. The
// context is no part of it: neither of the denials that can be asked for comes
// about by it, and nothing else of it is authorization-relevant.
func (q *question) bound(r *Request) (binding.Denial, error) {
	subject := q.who.properties.AsMap()
	// An enforcement point may move the actor to another place on the way.
	delete(subject, "act")
	// Names are sorted and numbers are doubles, so what is the same to a reader
	// of JSON is the same text.
	text, err := json.Marshal([]any{
		q.who.kind, q.who.id, subject, q.what.id, q.what.properties.AsMap(), q.on.kind, q.on.id, q.on.properties.AsMap(),
	})
	return binding.Denial{Organization: r.Organization, Caller: r.Caller, Question: sha256.Sum256(text)}, err
}

// matter returns the resource that a check of the name is about: "-" at its end
// asks about the collection's parent.
func matter(name string) string {
	collection, ok := strings.CutSuffix(name, "/-")
	if !ok {
		return name
	}
	if i := strings.LastIndexByte(collection, '/'); i >= 0 {
		return collection[:i]
	}
	return name
}
