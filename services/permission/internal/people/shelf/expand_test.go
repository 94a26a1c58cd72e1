package shelf_test

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/people/shelf"
)

type record = kv.Record[*wrapperspb.Int32Value]

// TestExpand_pagesHaveAllLinesOnce expands records to lines, some of them left
// out, and reads them with pages of all sizes.
func TestExpand_pagesHaveAllLinesOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int32Range(0, 5), 0, 8).Draw(rt, "sizes")
		limit := rapid.IntRange(1, 6).Draw(rt, "limit")
		var want, got []string
		for i, size := range sizes {
			for j := range int(size) {
				if (i+j)%3 != 0 {
					want = append(want, fmt.Sprintf("%d-%d", i, j))
				}
			}
		}
		var after []byte
		for range 1000 {
			page, next, err := shelf.Expand(after, limit, scanOf(sizes), linesOf)
			if err != nil {
				rt.Fatal(err)
			}
			if len(page) > limit {
				rt.Fatalf("a page of %d, want at most %d", len(page), limit)
			}
			if got = append(got, page...); next == nil {
				break
			}
			after = next
		}
		if !slices.Equal(got, want) {
			rt.Errorf("got %v, want %v", got, want)
		}
	})
}

func scanOf(sizes []int32) func(after []byte) iter.Seq2[record, error] {
	return func(after []byte) iter.Seq2[record, error] {
		return func(yield func(record, error) bool) {
			for i, size := range sizes {
				position := []byte{byte(i + 1)}
				if len(after) > 0 && position[0] <= after[0] {
					continue
				}
				if !yield(record{Value: wrapperspb.Int32(int32(i)<<8 | size), Position: position}, nil) {
					return
				}
			}
		}
	}
}

func linesOf(v *wrapperspb.Int32Value, behind string) iter.Seq2[shelf.Line[string], error] {
	return func(yield func(shelf.Line[string], error) bool) {
		i, size := v.GetValue()>>8, v.GetValue()&0xff
		for j := range size {
			name := fmt.Sprintf("%d-%d", i, j)
			if name > behind && !yield(shelf.Line[string]{Key: name, Value: name, Skip: (i+j)%3 == 0}, nil) {
				return
			}
		}
	}
}

func TestExpand_longStretchesWithoutLinesEndAPage(t *testing.T) {
	sizes := make([]int32, 200)
	scan := scanOf(sizes)
	many := func(after []byte) iter.Seq2[record, error] {
		return func(yield func(record, error) bool) {
			for range shelf.Budget {
				for rec, err := range scan(nil) {
					if !yield(rec, err) {
						return
					}
				}
			}
		}
	}
	page, next, err := shelf.Expand(nil, 10, many, linesOf)
	if err != nil || len(page) != 0 || next == nil {
		t.Errorf("got %v, next %v, %v; want an empty page with a next", page, next, err)
	}
}

func TestExpand_refusesAPositionThatItDidNotMake(t *testing.T) {
	_, _, err := shelf.Expand([]byte{200, 1}, 10, scanOf(nil), linesOf)
	if errs.ReasonOf(err) != "PAGE_TOKEN_INVALID" {
		t.Errorf("got %v", err)
	}
}
