package review_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	. "guildhall.dev/services/permission/internal/people/peopletest"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/revision"
)

// TestReview_aLargeSnapshotIsOfOneRevision changes grants between the chunks of
// a snapshot, in front of the reader and behind it.
func TestReview_aLargeSnapshotIsOfOneRevision(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		const many = 2*review.ReadChunk + 100
		names := o.grantMany(many)
		v := o.start(campaign())
		if v.GetState() != permissionv1.AccessReview_STATE_STARTING {
			t.Fatalf("%d grants: %v", many, v.GetState())
		}
		o.Revoke(names[0])      // was read
		o.Revoke(names[many-1]) // is still to be read
		o.Grant(sue, "roles/auditor", group)
		o.advance(v.GetName())
		late := o.Grant(rita, "roles/auditor", group)
		for o.advance(v.GetName()) {
		}
		var got, want []string
		for _, it := range o.items(v.GetName(), "") {
			got = append(got, it.GetGrant().GetName())
		}
		o.View(func(r kv.Reader) error {
			found, _, err := o.Reviews.Grants.List(r, Acme, grant.Filter{}, nil, 0)
			for _, g := range found {
				if strings.HasPrefix(g.GetResource(), Acme+"/groups") {
					want = append(want, g.GetName())
				}
			}
			return err
		})
		if slices.Sort(got); !slices.Equal(got, want) || !slices.Contains(got, late) || len(got) != many {
			t.Errorf("%d items, want the %d grants there are", len(got), len(want))
		}
		o.View(func(r kv.Reader) error {
			head, err := revision.Head(r, Acme)
			now, _ := o.Get(r, v.GetName())
			if now.GetRevision() != head.Number {
				t.Errorf("of revision %d, want %d", now.GetRevision(), head.Number)
			}
			return err
		})
		o.Now = o.Now.Add(24 * time.Hour)
		if got := o.overdue(); got != many {
			t.Errorf("%d are overdue, want all %d", got, many)
		}
	})
}

// grantMany makes grants in groups whose names order them.
func (o *office) grantMany(n int) (names []string) {
	o.t.Helper()
	for chunk := range slices.Chunk(slices.Collect(seq(n)), 500) {
		o.Must(func(tx *change.Tx) error {
			for _, i := range chunk {
				g, _, err := o.Grants.Create(tx, tx.Time, &permissionv1.Grant{
					Name: fmt.Sprintf("%s/grants/m%06d", Acme, i), Subject: fmt.Sprintf("%s/staff/s%d", Acme, i%50),
					Role: "roles/viewer", Resource: fmt.Sprintf("%s/groups/m%d", Acme, i),
				})
				if err != nil {
					return err
				}
				names = append(names, g.GetName())
			}
			return nil
		})
	}
	return names
}

func seq(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestReview_aLargeOneClosesInChunksAndGoesOnAfterACrash(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		const many = review.CloseChunk + 50
		o.grantMany(many)
		v := o.start(campaign())
		for o.advance(v.GetName()) {
		}
		v, err := o.close(v.GetName(), true)
		if err != nil || v.GetState() != permissionv1.AccessReview_STATE_CLOSING {
			t.Fatalf("closing: %v, %v", v.GetState(), err)
		}
		it := o.items(v.GetName(), "PENDING")
		if len(it) != many-review.CloseChunk {
			t.Errorf("%d are left, want %d", len(it), many-review.CloseChunk)
		}
		WantError(t, o.decide(it[0], it[0].GetReviewer(), keep), errs.Precondition, "ILLEGAL_STATE")
		if o.advance(v.GetName()) {
			t.Error("there is more after the last chunk")
		}
		if s := o.sum(v.GetName()); s.GetRevoked() != many || s.GetRevokedShare() != 1 {
			t.Errorf("sum %v", s)
		}
	})
}
