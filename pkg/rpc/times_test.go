package rpc

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestValidate_timesThatJSONCannotWrite are refused wherever they stand: one that was
// kept could not be read any more.
func TestValidate_timesThatJSONCannotWrite(t *testing.T) {
	v, err := NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	bad := &timestamppb.Timestamp{Seconds: 1, Nanos: 1_000_000_000}
	good := timestamppb.Now()
	for field, m := range map[string]proto.Message{
		"order_time":           &identityv1.Order{OrderTime: bad},
		"customer.create_time": &identityv1.CreateCustomerRequest{Parent: "p", Customer: &identityv1.Customer{CreateTime: bad}},
		"grace_period":         &identityv1.DataSubjectPolicy{GracePeriod: &durationpb.Duration{Seconds: 1, Nanos: -1}},
	} {
		err := v.times.check(m)
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "VALIDATION_FAILED" || errs.From(err).Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	list := &identityv1.ListCustomersResponse{Customers: []*identityv1.Customer{{CreateTime: good}, {UpdateTime: bad}}}
	if err := v.times.check(list); err == nil || errs.From(err).Violations[0].Field != "customers[1].update_time" {
		t.Errorf("in a list: %v", err)
	}
	for _, m := range []proto.Message{&identityv1.Customer{CreateTime: good}, &feedbackv1.Complaint{}, &identityv1.LoginRequest{}} {
		if err := v.times.check(m); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
}
