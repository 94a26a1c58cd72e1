package grants

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	usagePattern = resource.Pattern("organizations/{organization}/grants/{grant}/usage")
	usageSuffix  = "/usage"
	// maxUsageRead bounds what one page of usage reads when the filter leaves
	// most of it out.
	maxUsageRead = 2000
	usageChunk   = 200
)

type grantUsage struct{ Config }

// GetGrantUsage implements permissionv1.GrantUsageServiceServer.
func (s *grantUsage) GetGrantUsage(ctx context.Context, req *permissionv1.GetGrantUsageRequest) (*permissionv1.GrantUsage, error) {
	if err := usagePattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.GrantUsage, error) {
		g, err := s.Grants.Get(r, strings.TrimSuffix(req.GetName(), usageSuffix))
		if err != nil {
			return nil, err
		}
		days, err := s.Usage.Days(r, []*permissionv1.Grant{g})
		if err != nil {
			return nil, err
		}
		return usageOf(g, days[0]), nil
	})
}

// ListGrantUsage implements permissionv1.GrantUsageServiceServer.
func (s *grantUsage) ListGrantUsage(ctx context.Context, req *permissionv1.ListGrantUsageRequest) (*permissionv1.ListGrantUsageResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := parseUsage(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListGrantUsage", req.GetParent(), req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.GrantUsage, []byte, error) {
			return s.page(r, req.GetParent(), f, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListGrantUsageResponse{GrantUsage: found, NextPageToken: next}, nil
}

// page returns one page, and where the next one begins, nil at the end.
func (s *grantUsage) page(r kv.Reader, parent string, f usageFilter, after []byte, limit int) (page []*permissionv1.GrantUsage, next []byte, err error) {
	next = after
	for read := 0; read < maxUsageRead; {
		places, more, err := s.Grants.Walk(r, parent, f.grants, next, usageChunk)
		if err != nil {
			return nil, nil, err
		}
		grants := make([]*permissionv1.Grant, len(places))
		for i, p := range places {
			grants[i] = p.Grant
		}
		days, err := s.Usage.Days(r, grants)
		if err != nil {
			return nil, nil, err
		}
		for i, p := range places {
			if f.keeps(p.Grant, days[i]) {
				if len(page) == limit {
					return page, next, nil
				}
				page = append(page, usageOf(p.Grant, days[i]))
			}
			next = p.Position
		}
		if !more {
			return page, nil, nil
		}
		read += len(places)
	}
	return page, next, nil
}

// keeps reports whether a grant that was last used on the day is selected.
func (f usageFilter) keeps(g *permissionv1.Grant, day time.Time) bool {
	if f.unused.IsZero() {
		return true
	}
	young := !g.GetCreateTime().AsTime().Before(f.unused)
	used := !day.IsZero() && !day.Before(f.unused.Truncate(24*time.Hour)) // a day of UTC, as days are
	return !young && !used
}

func usageOf(g *permissionv1.Grant, day time.Time) *permissionv1.GrantUsage {
	u := &permissionv1.GrantUsage{Name: g.GetName() + usageSuffix, Grant: g}
	if !day.IsZero() {
		u.LastUsedDate = timestamppb.New(day)
	}
	return u
}

// usageFilter is the filter of ListGrantUsage.
type usageFilter struct {
	unused time.Time // zero for grants used or not
	grants grant.Filter
}

func parseUsage(text string) (usageFilter, error) {
	var f usageFilter
	terms, err := filter.Parse(text,
		filter.Field{Name: "unused_since", Type: filter.Time},
		filter.Field{Name: "subject", Type: filter.String},
		filter.Field{Name: "resource", Type: filter.String},
		filter.Field{Name: "role", Type: filter.String})
	if err != nil {
		return f, err
	}
	bad := errs.InvalidField("filter", "FILTER_INVALID",
		`send unused_since = "…", and at most one of subject = "…", resource = "…" and role = "…"`)
	for _, t := range terms {
		switch {
		case t.Field == "unused_since" && t.Op == filter.Equal:
			f.unused = t.Time
		case t.Field == "unused_since" || t.Text == "" || f.grants != grant.Filter{}:
			return f, bad
		case t.Field == "subject":
			f.grants.Subject = t.Text
		case t.Field == "resource":
			f.grants.Resource = t.Text
		default:
			f.grants.Role = t.Text
		}
	}
	return f, nil
}
