package authzen

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// results is the answer to a search (section 8.3). Page.NextToken is empty on
// the last page; a page may be short and still have a next one.
type results struct {
	Page    page     `json:"page"`
	Results []result `json:"results"`
}

type page struct {
	NextToken string `json:"next_token"`
}

// result is a subject or a resource, or an action, which has only a name.
type result struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// search is a search as it was asked.
type search struct {
	who, what, on entity
	kind          *kind // of the resource
	attributes    *permissionv1.Attributes
	limit         int32
	token         string

	organization, subject, permission, resource string
}

// fetch reads one page of the permission service's lists, and keeps of it what
// the search is for.
type fetch func(s *search) (found []result, next string, err error)

// SubjectSearch answers who of a type may do something (section 8.4). Whole
// classes, as all staff, have no id and are not listed.
func (a *API) SubjectSearch(ctx context.Context, r *Request) (any, error) {
	return a.search(ctx, r.Organization, r.Body, subject, func(s *search) ([]result, string, error) {
		answer, err := a.cfg.Access.ListSubjects(ctx, &permissionv1.ListSubjectsRequest{
			Parent: s.organization, Permission: s.permission, Resource: s.resource,
			Attributes: s.attributes, PageSize: s.limit, PageToken: s.token,
		})
		var found []result
		for _, each := range answer.GetSubjects() {
			id, ok := strings.CutPrefix(each.GetName(), s.organization+"/"+a.names.subjects[s.who.kind]+"/")
			if ok && id != "-" {
				found = append(found, result{Type: s.who.kind, ID: id})
			}
		}
		return found, answer.GetNextPageToken(), err
	})
}

// ResourceSearch answers on which resources of a type a subject may do
// something (section 8.5): those that grants or stored properties name. What
// lies below a name that is granted as a whole, only its application knows.
func (a *API) ResourceSearch(ctx context.Context, r *Request) (any, error) {
	return a.search(ctx, r.Organization, r.Body, resource, func(s *search) ([]result, string, error) {
		if s.kind == nil || s.kind.collection == "" {
			return nil, "", nil
		}
		answer, err := a.cfg.Access.ListResources(ctx, &permissionv1.ListResourcesRequest{
			Parent: s.organization, Subject: s.subject, Permission: s.permission, Collection: s.organization + "/" + s.kind.collection,
			Attributes: s.attributes, PageSize: s.limit, PageToken: s.token,
		})
		var found []result
		for _, each := range answer.GetResources() {
			if id, ok := s.kind.idOf(s.organization, each.GetName()); ok {
				found = append(found, result{Type: s.on.kind, ID: id})
			}
		}
		return found, answer.GetNextPageToken(), err
	})
}

// ActionSearch answers what a subject may do with a resource (section 8.6), in
// the verbs of the resource's type.
func (a *API) ActionSearch(ctx context.Context, r *Request) (any, error) {
	return a.search(ctx, r.Organization, r.Body, action, func(s *search) ([]result, string, error) {
		answer, err := a.cfg.Access.ListEffectivePermissions(ctx, &permissionv1.ListEffectivePermissionsRequest{
			Parent: s.organization, Subject: s.subject, Resource: s.resource,
			Attributes: s.attributes, PageSize: s.limit, PageToken: s.token,
		})
		var found []result
		for _, each := range answer.GetPermissions() {
			if verb, ok := s.kind.verbOf(each.GetPermission()); ok {
				found = append(found, result{Name: verb})
			}
		}
		return found, answer.GetNextPageToken(), err
	})
}

// maxFetches bounds how many pages are read to find something to show.
const maxFetches = 20

// search answers a search for what the member named searched is to be.
func (a *API) search(ctx context.Context, organization string, body []byte, searched string, next fetch) (any, error) {
	o, err := readBody(body)
	if err != nil {
		return nil, err
	}
	s, err := a.readSearch(ctx, organization, o, searched)
	if err != nil {
		return nil, err
	}
	// Who may ask at all is decided first, whatever is asked.
	if _, err := a.cfg.Checks.Check(ctx, &permissionv1.CheckRequest{Parent: organization, Query: &permissionv1.CheckQuery{
		Subject: nobody, Permission: nobody, Resource: nobody,
	}}); err != nil {
		return nil, err
	}
	out := results{Results: []result{}}
	if s.subject == nobody || s.resource == nobody || s.permission == nobody {
		return out, nil
	}
	for range maxFetches {
		found, token, err := next(s)
		if unknown(err) {
			return results{Results: []result{}}, nil
		}
		if err != nil {
			return nil, err
		}
		out.Results, out.Page.NextToken, s.token = append(out.Results, found...), token, token
		if len(found) > 0 || token == "" {
			break
		}
	}
	return out, nil
}

// unknown reports that a name is nobody's: nothing is found, which is no fault
// of the request.
func unknown(err error) bool {
	return slices.Contains([]string{
		"SUBJECT_INVALID", "RESOURCE_FOREIGN", "RESOURCE_NAME_INVALID", "RESOURCE_NOT_FOUND", "PERMISSION_UNKNOWN",
	}, errs.ReasonOf(err))
}

// readSearch reads a search. What is searched lacks its id, and an action that
// is searched may be missing as a whole.
func (a *API) readSearch(ctx context.Context, organization string, o object, searched string) (*search, error) {
	s := &search{organization: organization}
	var err error
	if s.who, err = o.entity(subject, searched == subject); err != nil {
		return nil, err
	}
	if searched != action {
		if s.what, err = o.entity(action, false); err != nil {
			return nil, err
		}
	}
	if s.on, err = o.entity(resource, searched == resource); err != nil {
		return nil, err
	}
	context, err := o.values(surroundings, surroundings)
	if err != nil {
		return nil, err
	}
	s.attributes = attributes(s.who, s.what, s.on, context)
	if s.kind, err = a.kindOf(ctx, organization, s.on); err != nil {
		return nil, err
	}
	if s.subject = a.names.subject(organization, s.who); searched == subject && s.subject != nobody {
		s.subject = ""
	}
	if s.resource = s.kind.resource(organization, s.on); searched == resource && s.resource != nobody {
		s.resource = ""
	}
	if searched != action {
		s.permission = s.kind.permission(s.what)
	}
	return s, s.readPage(o)
}

// readPage reads page.limit and page.token. A token is good for the same search
// again, which the permission service sees to.
func (s *search) readPage(o object) error {
	if !o.has("page") {
		return nil
	}
	p, err := o.object("page")
	if err != nil {
		return err
	}
	if p.has("limit") {
		if err := json.Unmarshal(p["limit"], &s.limit); err != nil || s.limit < 1 {
			return wrongType("page.limit", "send a whole number above zero")
		}
		s.limit = min(s.limit, 1000)
	}
	if p.has("token") && string(p["token"]) != `""` {
		s.token, err = p.text("page", "token")
	}
	return err
}
