package mark

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func login() *identityv1.LoginRequest {
	return &identityv1.LoginRequest{Organization: "organizations/acme", Identifier: "ada@example.org", Password: "hunter2"}
}

func redactedLogin() *identityv1.LoginRequest {
	return &identityv1.LoginRequest{Organization: "organizations/acme", Identifier: redacted, Password: redacted}
}

func TestRedact_hidesMarkedFields(t *testing.T) {
	in := login()
	got := Redact(in)
	if diff := cmp.Diff(redactedLogin(), got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if in.GetPassword() != "hunter2" {
		t.Error("the message itself was changed")
	}
}

func TestRedact_looksIntoNestedMessagesAndAny(t *testing.T) {
	deep, err := anypb.New(login())
	if err != nil {
		t.Fatal(err)
	}
	outer, err := anypb.New(&eventv1.Event{Id: "1", Data: deep})
	if err != nil {
		t.Fatal(err)
	}
	in := &eventv1.StreamEventsResponse{Events: []*eventv1.Event{
		{Id: "0", Data: deep}, {Id: "2", Data: outer}, {Id: "3", Data: &anypb.Any{TypeUrl: "type.example/unknown.Type", Value: []byte("hunter2")}},
		{Id: "4", Data: &anypb.Any{TypeUrl: deep.GetTypeUrl(), Value: []byte{0xff}}},
	}}
	got := Redact(in)
	text, err := protojson.Marshal(got.(*eventv1.StreamEventsResponse).GetEvents()[0])
	if err != nil || !strings.Contains(string(text), "organizations/acme") {
		t.Errorf("what is not marked was lost: %s, %v", text, err)
	}
	raw, err := proto.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "ada@example.org", "\xff"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%q is still there", secret)
		}
	}
}

func TestRedact_dropsUnknownFields(t *testing.T) {
	raw, err := proto.Marshal(login())
	if err != nil {
		t.Fatal(err)
	}
	// A message of an older release that knows none of the fields.
	in := &identityv1.GetJwksRequest{}
	if err := proto.Unmarshal(raw, in); err != nil {
		t.Fatal(err)
	}
	if got := Redact(in); len(got.ProtoReflect().GetUnknown()) != 0 {
		t.Error("unknown fields are still there")
	}
}

func TestRedact_nilStaysNil(t *testing.T) {
	if got := Redact(nil); got != nil {
		t.Errorf("got %v", got)
	}
	var m *identityv1.LoginRequest
	if got := Redact(m); got != proto.Message(m) {
		t.Errorf("got %v", got)
	}
}
