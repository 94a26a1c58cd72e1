package checks

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/rpc"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

var _ rpc.Recognizer = (*checks)(nil)

// near draws texts about as long as the rule allows, in letters of one byte and
// of three.
func near(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		letter := rapid.SampledFrom([]string{"a", "会"}).Draw(t, "letter")
		length := rapid.SampledFrom([]int{0, 1, most / 3, most/3 + 1, most - 1, most, most + 1}).Draw(t, "length")
		return strings.Repeat(letter, length)
	})
}

var queries = rapid.Custom(func(t *rapid.T) *permissionv1.CheckQuery {
	q := &permissionv1.CheckQuery{
		Subject: near(maxName).Draw(t, "subject"), Permission: near(maxPermission).Draw(t, "permission"), Resource: near(maxName).Draw(t, "resource"),
		Session: near(maxSession).Draw(t, "session"), Approval: near(maxName).Draw(t, "approval"), Filtering: rapid.Bool().Draw(t, "filtering"),
	}
	if rapid.IntRange(0, 4).Draw(t, "with attributes") == 0 {
		q.Attributes = &permissionv1.Attributes{Address: near(64).Draw(t, "address")}
	}
	return q
})

func TestRecognizes_nothingThatBreaksARule(t *testing.T) {
	validator, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	consistencies := rapid.SampledFrom([]*permissionv1.Consistency{
		nil, nil, nil, {}, {Requirement: &permissionv1.Consistency_AtLeastAsFresh{AtLeastAsFresh: ""}},
	})
	rapid.Check(t, func(t *rapid.T) {
		parent := rapid.SampledFrom([]string{"", "organizations/acme"}).Draw(t, "parent")
		consistency := consistencies.Draw(t, "consistency")
		var request proto.Message = &permissionv1.CheckRequest{Parent: parent, Query: queries.Draw(t, "query"), Consistency: consistency}
		if rapid.Bool().Draw(t, "batch") {
			batch := &permissionv1.BatchCheckRequest{Parent: parent, Consistency: consistency}
			batch.Queries = rapid.SliceOfN(queries, 0, 3).Draw(t, "queries")
			request = batch
		}
		recognized := (*checks)(nil).Recognizes(request)
		if err := validator.Validate(request); recognized && err != nil {
			t.Fatalf("recognises %v, which breaks a rule: %v", request, err)
		}
	})
}

func TestRecognizes_whatIsAskedMost(t *testing.T) {
	q := &permissionv1.CheckQuery{Subject: "organizations/acme/staff/ada", Permission: "groupchat.messages.create", Resource: "organizations/acme/groups/g1/messages/-", Session: "s1"}
	for _, request := range []proto.Message{
		&permissionv1.CheckRequest{Parent: "organizations/acme", Query: q},
		&permissionv1.BatchCheckRequest{Parent: "organizations/acme", Queries: []*permissionv1.CheckQuery{q, q}},
	} {
		if !(*checks)(nil).Recognizes(request) {
			t.Errorf("does not recognise %v", request)
		}
	}
	many := &permissionv1.BatchCheckRequest{Parent: "organizations/acme", Queries: make([]*permissionv1.CheckQuery, maxQueries+1)}
	for i := range many.Queries {
		many.Queries[i] = q
	}
	if n := q.ProtoReflect().Descriptor().Fields().Len(); n != 7 {
		t.Errorf("a question has %d fields; say in Recognizes what holds for the new one", n)
	}
	for _, request := range []proto.Message{many, &permissionv1.CheckRequest{Parent: "organizations/acme"}, &permissionv1.BatchCheckRequest{Parent: "organizations/acme"}, &permissionv1.CheckCoverRequest{}} {
		if (*checks)(nil).Recognizes(request) {
			t.Errorf("recognises %.100v", request)
		}
	}
}
