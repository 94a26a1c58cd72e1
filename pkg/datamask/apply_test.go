package datamask_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/datamask"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	acme = "organizations/acme"
	ada  = acme + "/customers/ada"
	bob  = acme + "/customers/bob"

	full   = permissionv1.Visibility_VISIBILITY_FULL
	masked = permissionv1.Visibility_VISIBILITY_MASKED
	nobody = permissionv1.Visibility_VISIBILITY_HIDDEN
)

// reading is a message on its way to somebody who sees classes on resources as
// the map says, and in full what it leaves out.
type reading struct {
	datamask.Reading
	sees map[string]permissionv1.Visibility // "class resource"
}

func read(m proto.Message, sees map[string]permissionv1.Visibility) reading {
	var plans datamask.Plans
	return reading{datamask.Reading{Plan: plans.Of(m.ProtoReflect().Descriptor()), Message: m, Organization: acme, Around: acme}, sees}
}

func (r reading) apply() (proto.Message, map[datamask.Masked]int) {
	return r.Apply(func(class int, on string) datamask.Sight {
		if v, ok := r.sees[r.Plan.Classes[class]+" "+on]; ok {
			return datamask.Sight{Visibility: v}
		}
		return datamask.Sight{Visibility: full}
	})
}

func customer(name string) *identityv1.Customer {
	return &identityv1.Customer{Name: name, DisplayName: "Ada Li", Email: "ada@example.com", Phone: "+8613800138000", Country: "CN"}
}

func TestApply_eachRecordByItsOwnName(t *testing.T) {
	list := &identityv1.ListCustomersResponse{Customers: []*identityv1.Customer{customer(ada), customer(bob)}, NextPageToken: "next"}
	before := proto.CloneOf(list)
	r := read(list, map[string]permissionv1.Visibility{
		"contact " + ada: masked, "identity " + ada: nobody, "contact " + bob: nobody,
	})
	if diff := cmp.Diff([]string{ada, bob}, r.Resources()); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	shown, counts := r.apply()
	want := &identityv1.ListCustomersResponse{NextPageToken: "next", Customers: []*identityv1.Customer{
		{Name: ada, Email: "***@example.com", Phone: "***8000", Country: "CN"},
		{Name: bob, DisplayName: "Ada Li", Country: "CN"},
	}}
	if diff := cmp.Diff(want, shown, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, list, protocmp.Transform()); diff != "" {
		t.Errorf("the handler's own message has changed:\n%s", diff)
	}
	wantCounts := map[datamask.Masked]int{{Class: "contact"}: 2, {Class: "contact", Hidden: true}: 2, {Class: "identity", Hidden: true}: 1}
	if diff := cmp.Diff(wantCounts, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestApply_allSeenIsTheMessageItself(t *testing.T) {
	c := customer(ada)
	if shown, counts := read(c, nil).apply(); shown != proto.Message(c) || counts != nil {
		t.Errorf("got a copy, and counts %v", counts)
	}
}

// TestApply_nestedBelongsToTheRecordAround: what has no name of its own is about
// the record that holds it.
func TestApply_nestedBelongsToTheRecordAround(t *testing.T) {
	complaint := ada + "/complaints/c1"
	m := &feedbackv1.Complaint{Name: complaint, Subject: "Late", Cause: "a van", History: []*feedbackv1.ComplaintMove{
		{Actor: ada}, {Actor: acme + "/staff/sue", Note: "called her"},
	}}
	shown, _ := read(m, map[string]permissionv1.Visibility{"note " + complaint: nobody}).apply()
	want := &feedbackv1.Complaint{Name: complaint, Subject: "Late", History: []*feedbackv1.ComplaintMove{{Actor: ada}, {Actor: acme + "/staff/sue"}}}
	if diff := cmp.Diff(want, shown, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestApply_oneofsNumbersAndStructs(t *testing.T) {
	response := acme + "/surveys/s/responses/r"
	m := &feedbackv1.Response{Name: response, Answers: []*feedbackv1.Answer{
		{QuestionId: "a", Value: &feedbackv1.Answer_Rating{Rating: 2}}, {QuestionId: "b", Value: &feedbackv1.Answer_Text{Text: "slow"}},
	}}
	shown, _ := read(m, map[string]permissionv1.Visibility{"feedback " + response: masked}).apply()
	want := &feedbackv1.Response{Name: response, Answers: []*feedbackv1.Answer{
		{QuestionId: "a"}, {QuestionId: "b", Value: &feedbackv1.Answer_Text{Text: "***"}},
	}}
	if diff := cmp.Diff(want, shown, protocmp.Transform()); diff != "" {
		t.Errorf("a number has no mask (-want +got):\n%s", diff)
	}
	values, err := structpb.NewStruct(map[string]any{"spent": 12})
	if err != nil {
		t.Fatal(err)
	}
	p := &permissionv1.Properties{Entity: ada, Values: values}
	shown, _ = read(p, map[string]permissionv1.Visibility{"attribute " + ada: masked}).apply()
	if diff := cmp.Diff(&permissionv1.Properties{Entity: ada}, shown, protocmp.Transform()); diff != "" {
		t.Errorf("nor has a struct (-want +got):\n%s", diff)
	}
}

func TestApply_streamStepsAndForeignNames(t *testing.T) {
	message := acme + "/groups/g/messages/1"
	step := &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Message{
		Message: &groupchatv1.Message{Name: message, Text: "hello"},
	}}
	shown, _ := read(step, map[string]permissionv1.Visibility{"message " + message: nobody}).apply()
	if text := shown.(*groupchatv1.StreamMessagesResponse).GetMessage().GetText(); text != "" {
		t.Errorf("shows %q", text)
	}
	// A name that is not of the reader's organisation is no resource there.
	foreign := customer("organizations/acme2/customers/x")
	if diff := cmp.Diff([]string{acme}, read(foreign, nil).Resources()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := read(&identityv1.Customer{Name: ada, Country: "CN"}, nil).Resources(); got != nil {
		t.Errorf("nothing classified is set, and it asks about %v", got)
	}
}

// TestApply_filteredMembersAreDropped: that a record is in a list that was
// filtered by what the reader does not see would tell it.
func TestApply_filteredMembersAreDropped(t *testing.T) {
	list := &identityv1.ListCustomersResponse{Customers: []*identityv1.Customer{customer(ada), customer(bob)}}
	r := read(list, map[string]permissionv1.Visibility{"contact " + ada: masked})
	r.Filtered = []string{"contact"}
	shown, _ := r.apply()
	want := &identityv1.ListCustomersResponse{Customers: []*identityv1.Customer{customer(bob)}}
	if diff := cmp.Diff(want, shown, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPlan_typesWithoutClassesHaveNone(t *testing.T) {
	var plans datamask.Plans
	for _, m := range []proto.Message{&permissionv1.Grant{}, &permissionv1.CheckResponse{}, &structpb.Struct{}} {
		if p := plans.Of(m.ProtoReflect().Descriptor()); p != nil {
			t.Errorf("%s has the classes %v", m.ProtoReflect().Descriptor().FullName(), p.Classes)
		}
	}
}

func TestClassesAt(t *testing.T) {
	for path, want := range map[string][]string{
		"email": {"contact"}, "country": nil, "nothing": nil, "email.x": {"contact"}, "": nil,
	} {
		got := datamask.ClassesAt((&identityv1.Customer{}).ProtoReflect().Descriptor(), path)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", path, diff)
		}
	}
	got := datamask.ClassesAt((&feedbackv1.Complaint{}).ProtoReflect().Descriptor(), "history")
	if diff := cmp.Diff([]string{"note"}, got); diff != "" {
		t.Errorf("a field of messages has the classes below it (-want +got):\n%s", diff)
	}
}

func TestClasses_nameTheirFieldsOnce(t *testing.T) {
	form := regexp.MustCompile(`^[a-z][A-Za-z]*$`)
	fields := make(map[string]string)
	for _, c := range datamask.Classes(nil) {
		if !form.MatchString(c.Name) || len(c.Fields) == 0 {
			t.Errorf("the class %q has %d fields", c.Name, len(c.Fields))
		}
		for _, f := range c.Fields {
			if fields[f.Name] != "" {
				t.Errorf("%s is of the classes %s and %s", f.Name, fields[f.Name], c.Name)
			}
			fields[f.Name] = c.Name
		}
	}
	for field, class := range map[string]string{
		"guildhall.identity.v1.Customer.phone": "contact", "guildhall.identity.v1.Session.remote_address": "device",
		"guildhall.permission.v1.PermissionChangeRequest.justification": "content", // by its mark as personal data
		"guildhall.identity.v1.Customer.state":                          "",
	} {
		if fields[field] != class {
			t.Errorf("%s is of class %q, want %q", field, fields[field], class)
		}
	}
}

func TestSight_zeroSeesNothing(t *testing.T) {
	if (datamask.Sight{}).Full() || optionsv1.Mask_MASK_UNSPECIFIED != 0 {
		t.Error("the zero Sight sees something")
	}
}
