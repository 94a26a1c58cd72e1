// Package fields serves the RPCs about classes of data: field policies, and what
// somebody sees under them. Each handler turns a request into a call of package
// fieldpolicy, or asks the checker.
//
// Policies are a people's matter; only Disclose is on the way of other calls, and
// of those alone whose organisation restricts something.
package fields

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/fieldpolicy"
	"guildhall.dev/services/permission/internal/subject"
)

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal  *journal.Journal
	Policies *fieldpolicy.Policies
	Checker  *check.Checker
}

// Register registers the service of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterFieldPolicyServiceServer(r, &handlers{cfg})
}

type handlers struct{ Config }

// caller returns who is calling; the zero Caller outside of a call.
func caller(ctx context.Context) authn.Caller {
	c, _ := authn.FromContext(ctx)
	return c
}

// do makes a change, and keeps a refused one in the audit log.
func (s *handlers) do(ctx context.Context, req proto.Message, on string, fn func(tx *change.Tx) (*permissionv1.FieldPolicy, error)) (*permissionv1.FieldPolicy, error) {
	v, err := change.Do(ctx, s.Journal.Changes, req, fn)
	s.Journal.KeepRefusal(ctx, on, err)
	return v, err
}

// CreateFieldPolicy implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) CreateFieldPolicy(ctx context.Context, req *permissionv1.CreateFieldPolicyRequest) (*permissionv1.FieldPolicy, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return s.do(ctx, req, req.GetParent(), func(tx *change.Tx) (*permissionv1.FieldPolicy, error) {
		return s.Policies.Create(tx, caller(ctx), req.GetParent(), req.GetFieldPolicyId(), req.GetFieldPolicy())
	})
}

// GetFieldPolicy implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) GetFieldPolicy(ctx context.Context, req *permissionv1.GetFieldPolicyRequest) (*permissionv1.FieldPolicy, error) {
	if err := fieldpolicy.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.FieldPolicy, error) {
		return s.Policies.Get(r, req.GetName())
	})
}

// ListFieldPolicies implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) ListFieldPolicies(ctx context.Context, req *permissionv1.ListFieldPoliciesRequest) (*permissionv1.ListFieldPoliciesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListFieldPolicies", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.FieldPolicy, []byte, error) {
			return s.Policies.List(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListFieldPoliciesResponse{FieldPolicies: items, NextPageToken: next}, nil
}

// UpdateFieldPolicy implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) UpdateFieldPolicy(ctx context.Context, req *permissionv1.UpdateFieldPolicyRequest) (*permissionv1.FieldPolicy, error) {
	if err := fieldpolicy.Pattern.Check("field_policy.name", req.GetFieldPolicy().GetName()); err != nil {
		return nil, err
	}
	mask, err := fieldpolicy.Mask(req)
	if err != nil {
		return nil, err
	}
	return s.do(ctx, req, req.GetFieldPolicy().GetName(), func(tx *change.Tx) (*permissionv1.FieldPolicy, error) {
		return s.Policies.Update(tx, caller(ctx), req.GetFieldPolicy(), mask)
	})
}

// DeleteFieldPolicy implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) DeleteFieldPolicy(ctx context.Context, req *permissionv1.DeleteFieldPolicyRequest) (*permissionv1.FieldPolicy, error) {
	if err := fieldpolicy.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return s.do(ctx, req, req.GetName(), func(tx *change.Tx) (*permissionv1.FieldPolicy, error) {
		return s.Policies.Delete(tx, caller(ctx), req.GetName(), req.GetEtag())
	})
}

// ListDataClasses implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) ListDataClasses(ctx context.Context, req *permissionv1.ListDataClassesRequest) (*permissionv1.ListDataClassesResponse, error) {
	all := s.Policies.Classes()
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListDataClasses"},
		func(_ kv.Reader, after []byte, limit int) ([]*permissionv1.DataClassInfo, []byte, error) {
			start, _ := slices.BinarySearchFunc(all, string(after)+"\x00", func(c datamask.Class, name string) int { return strings.Compare(c.Name, name) })
			end := min(start+limit, len(all))
			var page []*permissionv1.DataClassInfo
			for _, c := range all[start:end] {
				page = append(page, infoOf(c))
			}
			if end == len(all) {
				return page, nil, nil
			}
			return page, []byte(all[end-1].Name), nil
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListDataClassesResponse{DataClasses: items, NextPageToken: next}, nil
}

func infoOf(c datamask.Class) *permissionv1.DataClassInfo {
	info := &permissionv1.DataClassInfo{
		Name: c.Name, ReadPermission: datamask.ReadPermission(c.Name), MaskedPermission: datamask.MaskedPermission(c.Name),
	}
	for _, f := range c.Fields {
		info.Fields = append(info.Fields, &permissionv1.ClassifiedField{Field: f.Name, Mask: f.Mask})
	}
	return info
}

// PreviewFieldVisibility implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) PreviewFieldVisibility(ctx context.Context, req *permissionv1.PreviewFieldVisibilityRequest) (*permissionv1.PreviewFieldVisibilityResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if name := req.GetSubject(); !subject.IsAccount(name) || subject.OrganizationOf(name) != req.GetParent() {
		return nil, errs.InvalidField("subject", "SUBJECT_INVALID", "name an account of the parent")
	}
	if err := fieldpolicy.CheckResource("resource", req.GetParent(), req.GetResource()); err != nil {
		return nil, err
	}
	var classes []string
	for _, c := range s.Policies.Classes() {
		classes = append(classes, c.Name)
	}
	sights, err := s.Checker.Sights(ctx, req.GetParent(), decide.Question{Subject: req.GetSubject()}, classes, []string{req.GetResource()})
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.PreviewFieldVisibilityResponse{}
	for i, v := range sights {
		resp.Classes = append(resp.Classes, &permissionv1.ClassVisibility{
			DataClass: classes[i], Visibility: v.Visibility, Mask: v.Policy.GetPolicy().GetMask(),
			FieldPolicy: v.Policy.GetPolicy().GetName(), Grant: v.Grant, Role: v.Role,
		})
	}
	return resp, nil
}

// Disclose implements permissionv1.FieldPolicyServiceServer.
func (s *handlers) Disclose(ctx context.Context, req *permissionv1.DiscloseRequest) (*permissionv1.DiscloseResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	q := decide.Question{Subject: req.GetSubject(), Session: req.GetSession(), Attributes: req.GetAttributes()}
	sights, err := s.Checker.Sights(ctx, req.GetParent(), q, req.GetDataClasses(), req.GetResources())
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.DiscloseResponse{Sights: make([]*permissionv1.Sight, len(sights))}
	for i, v := range sights {
		shown := check.Shown(v)
		resp.Sights[i] = &permissionv1.Sight{Visibility: shown.Visibility, Mask: shown.Mask, HashKey: shown.Key}
	}
	return resp, nil
}
