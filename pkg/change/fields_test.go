package change_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

func TestChangedFields_namesWhatDiffers(t *testing.T) {
	old := &groupchatv1.Group{Name: "g", DisplayName: "a", Etag: "1", UpdateTime: timestamppb.New(start)}
	for name, c := range map[string]struct {
		old, now proto.Message
		want     []string
	}{
		"equal":     {old, proto.Clone(old), nil},
		"text":      {old, &groupchatv1.Group{Name: "g", DisplayName: "b"}, []string{"display_name"}},
		"set":       {old, &groupchatv1.Group{Name: "g", DisplayName: "a", PurgeTime: timestamppb.New(start), Owner: "o"}, []string{"owner", "purge_time"}},
		"created":   {nil, old, []string{"display_name", "name"}},
		"deleted":   {old, nil, []string{"display_name", "name"}},
		"nothing":   {nil, nil, nil},
		"two types": {old, &groupchatv1.Member{}, nil},
		"timestamp": {&groupchatv1.Group{PurgeTime: timestamppb.New(start)}, &groupchatv1.Group{PurgeTime: timestamppb.New(start.Add(1))}, []string{"purge_time"}},
		"nested": {
			&groupchatv1.CreateGroupRequest{Group: &groupchatv1.Group{Name: "g", Owner: "a"}},
			&groupchatv1.CreateGroupRequest{Group: &groupchatv1.Group{Name: "h", Owner: "a", DisplayName: "x"}},
			[]string{"group.display_name", "group.name"},
		},
		"nested set": {&groupchatv1.CreateGroupRequest{}, &groupchatv1.CreateGroupRequest{Group: &groupchatv1.Group{Name: "h"}}, []string{"group"}},
		"list":       {&auditv1.AuditEntry{ChangedFields: []string{"a"}}, &auditv1.AuditEntry{ChangedFields: []string{"b"}}, []string{"changed_fields"}},
	} {
		if got := change.ChangedFields(c.old, c.now); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
