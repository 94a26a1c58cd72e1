package api

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
)

const (
	usagePattern = resource.Pattern("organizations/{organization}/grants/{grant}/usage")
	usageSuffix  = "/usage"
	// maxUsageRead bounds what one page of usage reads when the filter leaves
	// most of it out.
	maxUsageRead = 2000
)

type grantUsage struct{ Config }

// GetGrantUsage implements permissionv1.GrantUsageServiceServer.
func (s *grantUsage) GetGrantUsage(ctx context.Context, req *permissionv1.GetGrantUsageRequest) (found *permissionv1.GrantUsage, err error) {
	if _, err := usagePattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		g, err := s.Grants.Get(r, strings.TrimSuffix(req.GetName(), usageSuffix))
		if err != nil {
			return err
		}
		days, err := s.Usage.Days(r, []*permissionv1.Grant{g})
		if err != nil {
			return err
		}
		found = usageOf(g, days[0])
		return nil
	})
	return found, err
}

// ListGrantUsage implements permissionv1.GrantUsageServiceServer.
func (s *grantUsage) ListGrantUsage(ctx context.Context, req *permissionv1.ListGrantUsageRequest) (*permissionv1.ListGrantUsageResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := parseUsage(req.GetFilter())
	if err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListGrantUsage", req.GetParent(), req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListGrantUsageResponse{}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		next := l.after
		resp.GrantUsage = nil
		// A chunk is never larger than what the page has room for, so none is
		// left half read.
		for read := 0; ; {
			found, following, err := s.Grants.List(r, req.GetParent(), f.grants, next, l.size-len(resp.GrantUsage))
			if err != nil {
				return err
			}
			if err := s.add(r, resp, found, f.unused); err != nil {
				return err
			}
			next, read = following, read+len(found)
			if next == nil || len(resp.GrantUsage) == l.size || read >= maxUsageRead {
				break
			}
		}
		resp.NextPageToken = s.next(l, next)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// add adds the grants to the page; with a time, those that are unused since.
func (s *grantUsage) add(r kv.Reader, resp *permissionv1.ListGrantUsageResponse, grants []*permissionv1.Grant, unused time.Time) error {
	days, err := s.Usage.Days(r, grants)
	if err != nil {
		return err
	}
	since := unused.Truncate(24 * time.Hour) // the beginning of a day in UTC, as days are
	for i, g := range grants {
		young := !g.GetCreateTime().AsTime().Before(unused)
		used := !days[i].IsZero() && !days[i].Before(since)
		if unused.IsZero() || !young && !used {
			resp.GrantUsage = append(resp.GrantUsage, usageOf(g, days[i]))
		}
	}
	return nil
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
