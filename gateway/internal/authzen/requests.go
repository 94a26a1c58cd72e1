package authzen

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/gateway/internal/binding"
	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// The members of an access request beside those of the question.
const (
	memberDenial = "denial"
	memberWanted = "requested_access"
	memberClient = "client"
	// memberWhy is the justification in the context. The profile leaves its
	// name open; this is that of its examples, and the other a shorter one.
	memberWhy, memberWhyShort = "business_justification", "justification"

	fieldWhy   = surroundings + "." + memberWhy
	fieldUntil = memberWanted + ".requested_until"
)

// unsupported are members that the profile knows and this server does not do,
// by what to do instead. Passing over them would let a client wait for what
// never comes.
var unsupported = [...][2]string{
	{"items", "ask for one resource and action at a time, each in a request of its own"},
	{"callback", "leave the callback out, and read the status endpoint"},
}

// Submit files an access request: it makes a permission change request of the
// subject's, for what the denial says would cure it. With a Key, the same
// request has the same answer for as long as a change request's request_id does.
func (a *API) Submit(ctx context.Context, r *Request) (any, error) {
	o, err := readBody(r.Body)
	if err != nil {
		return nil, err
	}
	for _, member := range unsupported {
		if o.has(member[0]) {
			return nil, notDone(member[0], member[1])
		}
	}
	q, err := a.question(ctx, r.Organization, o.part)
	if err != nil {
		return nil, err
	}
	denial, err := a.denialOf(r, o, q)
	if err != nil {
		return nil, err
	}
	wish, err := wishOf(o, q, denial.Kind)
	if err != nil {
		return nil, err
	}
	v, err := a.cfg.Requests.CreatePermissionChangeRequest(ctx, &permissionv1.CreatePermissionChangeRequestRequest{
		Parent: q.query.GetSubject(), PermissionChangeRequest: wish, RequestId: r.Key,
	})
	if err != nil {
		return nil, refusal(err)
	}
	return a.view(r).Of(v), nil
}

// denialOf returns the denial that a request is about, once it is sure that it
// is one of ours, of this very question to this caller, and still good.
func (a *API) denialOf(r *Request, o object, q *question) (binding.Denial, error) {
	var none binding.Denial
	if !o.has(memberDenial) {
		return none, errs.InvalidField(memberDenial, problem.NotRequestable,
			"only what was denied with context.access_request can be asked for; send that denial along")
	}
	echo, err := o.object(memberDenial)
	if err != nil {
		return none, err
	}
	// The profile's other members of a denial, none of which is ever given here.
	for _, name := range []string{"evaluation_id", "evaluated_at", "template"} {
		if echo.has(name) {
			return none, unbound(name)
		}
	}
	if !echo.has("binding_token") {
		return none, unbound("binding_token")
	}
	var sent [3]string // token, end, reason
	for i, name := range []string{"binding_token", "expires_at", "reason"} {
		if name == "reason" && !echo.has(name) {
			continue
		}
		if sent[i], err = echo.text(memberDenial, name); err != nil {
			return none, err
		}
	}
	about, err := q.bound(r)
	if err != nil {
		return none, err
	}
	denial, ok := a.cfg.Tokens.Verify(sent[0], about)
	if !ok {
		return none, unbound("binding_token")
	}
	if end, err := time.Parse(time.RFC3339, sent[1]); err != nil || !end.Equal(denial.Expires) {
		return none, unbound("expires_at")
	}
	if sent[2] != "" && sent[2] != denial.Reason {
		return none, unbound("reason")
	}
	if !a.cfg.Clock().Before(denial.Expires) {
		return none, errs.New(errs.Invalid, problem.ExpiredDenial, "the denial is too old to be asked for; evaluate again")
	}
	return denial, nil
}

// wishOf returns the change request that an access request makes.
func wishOf(o object, q *question, kind binding.Kind) (*permissionv1.PermissionChangeRequest, error) {
	why, err := justification(o, q)
	if err != nil {
		return nil, err
	}
	until, err := wantedUntil(o)
	if err != nil {
		return nil, err
	}
	wish := &permissionv1.PermissionChangeRequest{Subject: q.query.GetSubject(), Justification: why}
	permission, on := q.query.GetPermission(), matter(q.query.GetResource())
	if kind == binding.Approval {
		wish.Change = &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{
			Permission: permission, Resource: on, Until: until,
		}}
	} else {
		wish.Change = &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{
			Permission: permission, Resource: on, Until: until,
		}}
	}
	return wish, nil
}

// wantedUntil reads requested_access; nil is without an end.
func wantedUntil(o object) (*timestamppb.Timestamp, error) {
	if !o.has(memberWanted) {
		return nil, nil
	}
	wanted, err := o.object(memberWanted)
	if err != nil {
		return nil, err
	}
	if wanted.has("emergency") {
		var emergency bool
		if json.Unmarshal(wanted["emergency"], &emergency) != nil {
			return nil, wrongType(memberWanted+".emergency", "send true or false")
		}
		if emergency {
			return nil, notDone(memberWanted+".emergency", "there is no quicker way for emergencies; ask without, and tell an approver")
		}
	}
	if !wanted.has("requested_until") {
		return nil, nil
	}
	text, err := wanted.text(memberWanted, "requested_until")
	if err != nil {
		return nil, err
	}
	until, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, errs.InvalidField(fieldUntil, "TIMESTAMP_INVALID", "send a time as in 2026-05-01T00:15:00Z")
	}
	return timestamppb.New(until), nil
}

// justification returns why, for approvers to read, and below it what the
// client says of itself: nothing that is decided by, but a ticket's address
// helps who decides.
func justification(o object, q *question) (string, error) {
	why := ""
	for _, name := range []string{memberWhyShort, memberWhy} {
		if text := strings.TrimSpace(q.context.GetFields()[name].GetStringValue()); text != "" {
			why = text
		}
	}
	if why == "" {
		return "", missing(fieldWhy)
	}
	if !o.has(memberClient) {
		return why, nil
	}
	lines, err := clientLines(o)
	return strings.Join(append([]string{why}, lines...), "\n"), err
}

// clientLines reads the member client. An actor is refused: whom else a caller
// acts for is nothing that its token proves.
func clientLines(o object) (lines []string, err error) {
	client, err := o.object(memberClient)
	if err != nil {
		return nil, err
	}
	if client.has("actor") {
		return nil, notDone(memberClient+".actor", "leave the actor out: the caller is who its token names")
	}
	read := func(in object, path string, names ...string) error {
		for _, name := range names {
			if !in.has(name) {
				continue
			}
			text, err := in.text(path, name)
			if err != nil {
				return err
			}
			lines = append(lines, path+"."+name+": "+text)
		}
		return nil
	}
	if err := read(client, memberClient, "id", "name"); err != nil || !client.has("source") {
		return lines, err
	}
	source, err := readObject(memberClient+".source", client["source"])
	if err != nil {
		return nil, err
	}
	return lines, read(source, memberClient+".source", "session_id", "external_url", "integration_id")
}

// refusal returns an error of CreatePermissionChangeRequest in the words of the
// profile.
func refusal(err error) error {
	e := errs.From(err)
	switch {
	case unknown(err):
		return errs.New(errs.Invalid, problem.NotRequestable, "this cannot be asked for any more; evaluate again", errs.Cause(err))
	case e.Reason == "REQUEST_ID_REUSED":
		return errs.New(errs.Conflict, problem.DuplicateRequest, "the Idempotency-Key was used for another request; make a new one for each", errs.Cause(err))
	case e.Reason == "REQUEST_ID_INVALID":
		return errs.New(errs.Invalid, problem.HeaderInvalid, "Idempotency-Key: send at most 64 characters, best a UUID",
			errs.Meta("header", "Idempotency-Key"), errs.Cause(err))
	}
	for i, v := range e.Violations {
		switch _, field, _ := strings.Cut(v.Field, "."); field {
		case "justification":
			e.Violations[i].Field = fieldWhy
		case "access.until", "approval.until":
			e.Violations[i].Field = fieldUntil
		}
	}
	return err
}

func unbound(name string) error {
	return errs.InvalidField(memberDenial+"."+name, problem.InvalidBinding,
		"send the denial as it came, for the subject, action and resource that were denied")
}

func notDone(field, instead string) error {
	return errs.InvalidField(field, problem.MemberUnsupported, instead)
}
