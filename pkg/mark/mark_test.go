package mark_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/mark"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFind_returnsThePathOfTheFirstMarkedField(t *testing.T) {
	var r mark.Reader
	for name, c := range map[string]struct {
		in   proto.Message
		want string
	}{
		"nil":       {nil, ""},
		"typed nil": {(*groupchatv1.Group)(nil), ""},
		"unmarked":  {timestamppb.Now(), ""},
		"not set":   {&groupchatv1.Group{Name: "g"}, ""},
		"personal":  {&groupchatv1.Group{DisplayName: "x"}, "display_name"},
		"of class":  {&feedbackv1.Answer{Value: &feedbackv1.Answer_Rating{Rating: 1}}, "rating"},
		"secret":    {&identityv1.TokenSet{AccessToken: "x"}, "access_token"},
		"nested":    {&groupchatv1.CreateGroupRequest{Group: &groupchatv1.Group{DisplayName: "x"}}, "group.display_name"},
		"list":      {&groupchatv1.ListGroupsResponse{Groups: []*groupchatv1.Group{{Name: "a"}, {Description: "x"}}}, "groups.description"},
		"any":       {&eventv1.Event{Data: packed(t, &identityv1.TokenSet{RefreshToken: "x"})}, "data.refresh_token"},
		"any twice": {&eventv1.Event{Data: packed(t, packed(t, &identityv1.TokenSet{RefreshToken: "x"}))}, "data.refresh_token"},
		"empty any": {&eventv1.Event{Data: &anypb.Any{}}, ""},
		"recursive": {structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("x")}}), ""},
	} {
		for range 2 { // the second time from memory
			if got, err := r.Find(c.in); got != c.want || err != nil {
				t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
			}
		}
	}
}

func TestFind_whatCannotBeJudgedIsAnError(t *testing.T) {
	var r mark.Reader
	deep := packed(t, timestamppb.Now())
	for range 200 {
		deep = packed(t, deep)
	}
	for name, in := range map[string]proto.Message{
		"unknown type": &anypb.Any{TypeUrl: "type.googleapis.com/none.Such"},
		"malformed":    &anypb.Any{TypeUrl: "type.googleapis.com/guildhall.groupchat.v1.Group", Value: []byte{0xff}},
		"too deep":     deep,
	} {
		if path, err := r.Find(in); err == nil {
			t.Errorf("%s: got %q and no error", name, path)
		}
	}
}

func TestClearSecrets_leavesAllElse(t *testing.T) {
	var r mark.Reader
	m := &identityv1.Invitation{Code: "x", ExpireTime: timestamppb.New(timestamppb.Now().AsTime())}
	want := proto.CloneOf(m)
	want.Code = ""
	if !r.ClearSecrets(m) {
		t.Error("ClearSecrets found none")
	}
	if diff := cmp.Diff(want, m, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.ClearSecrets(m) {
		t.Error("ClearSecrets found another")
	}
	if g := (&groupchatv1.Group{DisplayName: "personal, not secret"}); r.ClearSecrets(g) || g.GetDisplayName() == "" {
		t.Error("a personal field was cleared")
	}
}
