package policy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Change is one change that brings a thing to what the document says.
type Change struct {
	Action permissionv1.PolicyChange_Action
	// Name is the thing's.
	Name string
	// Field is where it stands in the document, "" for what is deleted.
	Field string
	// Old is the thing as it is, nil when it is not there; Now as it is to be,
	// nil when it is to go. Both are a Role, a Grant, a ResourceType or
	// Properties.
	Old, Now proto.Message
}

// Plan is what a document changes.
type Plan struct {
	// Policy is the document's.
	Policy string
	// Changes are in the order in which they can be made: types, roles, grants;
	// then what goes, in the opposite order.
	Changes []Change
	// forgotten are names that the policy owned and has no more to do with.
	forgotten []string
}

// want is a thing that the document says.
type want struct {
	name, field string
	now         proto.Message
}

// Plan works out what the document changes in the state that the reader sees.
// Errors are Invalid (POLICY_ITEM_REPEATED, RESOURCE_NAME_INVALID and the like,
// or POLICY_INVALID for several), and Precondition (POLICY_ITEM_OWNED,
// GRANT_MANAGED, POLICY_TOO_LARGE). What the centres refuse is known only when
// the changes are made.
func (s *Policies) Plan(r kv.Reader, organization string, d *permissionv1.Policy, prune bool) (*Plan, error) {
	id, err := IDOf(d)
	if err != nil {
		return nil, err
	}
	p := &Plan{Policy: id}
	wanted, err := s.wanted(r, organization, d)
	if err != nil {
		return nil, err
	}
	faults := &Faults{}
	said := map[string]bool{}
	for _, w := range wanted {
		said[w.name] = true
		if err := s.compare(r, p, w, faults); err != nil {
			return nil, err
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if err := s.dropped(r, p, organization, said, prune); err != nil {
		return nil, err
	}
	order(p.Changes)
	return p, nil
}

// compare adds the change, if any, that a thing of the document takes.
func (s *Policies) compare(r kv.Reader, p *Plan, w want, faults *Faults) error {
	owner, err := s.owner(r, w.name)
	if err != nil {
		return err
	}
	old, err := s.find(r, w.name)
	if err != nil {
		return err
	}
	c := Change{Name: w.name, Field: w.field, Old: old, Now: w.now}
	switch {
	case old != nil && owner != "" && owner != p.Policy:
		return faults.Add(w.field, errs.New(errs.Precondition, "POLICY_ITEM_OWNED",
			"another policy says what this is; take it out of one of the documents", errs.Meta("policy", owner)))
	case old == nil:
		c.Action = permissionv1.PolicyChange_ACTION_CREATE
	case !same(old, w.now):
		c.Action = permissionv1.PolicyChange_ACTION_UPDATE
	case owner == "":
		c.Action = permissionv1.PolicyChange_ACTION_ADOPT
	default:
		return nil
	}
	p.Changes = append(p.Changes, c)
	return nil
}

// dropped adds what is to go: what the policy owns and no longer says and, to
// prune, what nobody owns and it does not say.
func (s *Policies) dropped(r kv.Reader, p *Plan, organization string, said map[string]bool, prune bool) error {
	names, err := s.owned(r, organization, p.Policy)
	if err != nil {
		return err
	}
	for _, name := range names {
		if said[name] {
			continue
		}
		p.forgotten = append(p.forgotten, name)
		old, err := s.find(r, name)
		if err != nil {
			return err
		}
		if old != nil {
			p.Changes = append(p.Changes, Change{Action: permissionv1.PolicyChange_ACTION_DELETE, Name: name, Old: old})
		}
		said[name] = true
	}
	if !prune {
		return nil
	}
	return s.all(r, organization, func(name string, old proto.Message) error {
		if said[name] {
			return nil
		}
		owner, err := s.owner(r, name)
		if err == nil && owner == "" {
			p.Changes = append(p.Changes, Change{Action: permissionv1.PolicyChange_ACTION_DELETE, Name: name, Old: old})
		}
		return err
	})
}

// Etag names the changes: a plan of the same document has another one as soon
// as it would do something else, or do it to something that has changed.
func (p *Plan) Etag() (string, error) {
	sum := sha256.New()
	part := func(b []byte) {
		sum.Write(binary.AppendUvarint(nil, uint64(len(b))))
		sum.Write(b)
	}
	part([]byte(p.Policy))
	for _, c := range p.Changes {
		part([]byte(fmt.Sprintf("%d %s", c.Action, c.Name)))
		for _, m := range []proto.Message{c.Old, c.Now} {
			if m == nil {
				part(nil)
				continue
			}
			text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				return "", fmt.Errorf("encode a change: %w", err)
			}
			part(text)
		}
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:18]), nil
}

// inOrganization reports whether a name is below the organisation.
func inOrganization(name, organization string) bool { return strings.HasPrefix(name, organization+"/") }
