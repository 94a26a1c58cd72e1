package rpc

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/errs"
)

const (
	ada   = "organizations/acme/customers/ada"
	group = "organizations/acme/groups/g1"

	seenFull   = permissionv1.Visibility_VISIBILITY_FULL
	seenMasked = permissionv1.Visibility_VISIBILITY_MASKED
	seenHidden = permissionv1.Visibility_VISIBILITY_HIDDEN
)

// eyes see classes as they are told to, and all others in full.
type eyes struct {
	mu    sync.Mutex
	see   map[string]permissionv1.Visibility
	only  string   // the one resource where that is so; "" is everywhere
	asked []string // resources
	away  error
}

func (e *eyes) Disclose(_ context.Context, d authz.Disclosure) ([]datamask.Sight, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, d.Resources...)
	var out []datamask.Sight
	for _, on := range d.Resources {
		for _, class := range d.Classes {
			v := e.see[class]
			if v == 0 || e.only != "" && e.only != on {
				v = seenFull
			}
			out = append(out, datamask.Sight{Visibility: v})
		}
	}
	return out, e.away
}

func (e *eyes) set(class string, v permissionv1.Visibility) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.see[class] = v
}

// stored is what the handlers of the tests have, and give to everybody.
var stored = &identityv1.Customer{Name: ada, DisplayName: "Ada Li", Email: "ada@example.com", Phone: "+8613800138000", Country: "CN"}

func (customerHandlers) GetCustomer(context.Context, *identityv1.GetCustomerRequest) (*identityv1.Customer, error) {
	return stored, nil
}

func (customerHandlers) ListCustomers(context.Context, *identityv1.ListCustomersRequest) (*identityv1.ListCustomersResponse, error) {
	return &identityv1.ListCustomersResponse{Customers: []*identityv1.Customer{stored}}, nil
}

func (customerHandlers) UpdateCustomer(context.Context, *identityv1.UpdateCustomerRequest) (*identityv1.Customer, error) {
	return stored, nil
}

type messageHandlers struct {
	groupchatv1.UnimplementedMessageServiceServer
}

// StreamMessages sends the same message until nobody listens.
func (messageHandlers) StreamMessages(_ *groupchatv1.StreamMessagesRequest, stream grpc.ServerStreamingServer[groupchatv1.StreamMessagesResponse]) error {
	for {
		if err := stream.Send(&groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Message{
			Message: &groupchatv1.Message{Name: group + "/messages/1", Text: "hello"},
		}}); err != nil {
			return err
		}
	}
}

// restricted is a suite whose organisation has field policies.
func restricted(t *testing.T, see map[string]permissionv1.Visibility, change ...func(*Config)) (*suite, *eyes) {
	e := &eyes{see: see}
	s := newSuite(t, append(change, func(cfg *Config) { cfg.Discloser = e })...)
	s.checker.restricted = true
	return s, e
}

func (s *suite) customers(t *testing.T) (context.Context, identityv1.CustomerServiceClient) {
	return as(t.Context(), s.token(5*time.Minute)), identityv1.NewCustomerServiceClient(s.dial(nil))
}

func TestDisclose_answersAreMasked(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	s, _ := restricted(t, map[string]permissionv1.Visibility{"contact": seenMasked, "identity": seenHidden}, func(cfg *Config) {
		cfg.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	})
	ctx, c := s.customers(t)
	want := &identityv1.Customer{Name: ada, Email: "***@example.com", Phone: "***8000", Country: "CN"}
	got, err := c.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: ada})
	if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	list, err := c.ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: "organizations/acme", Filter: `state = "ACTIVE" AND country = "CN"`})
	if diff := cmp.Diff([]*identityv1.Customer{want}, list.GetCustomers(), protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// A sister service serves all, and is masked nothing.
	got, err = identityv1.NewCustomerServiceClient(s.sister("groupchat")).GetCustomer(t.Context(), &identityv1.GetCustomerRequest{Name: ada})
	if err != nil || !proto.Equal(got, stored) {
		t.Errorf("a sister sees %v, %v", got, err)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	if got := maskedFields(rm); got["contact masked"] != 4 || got["identity hidden"] != 2 {
		t.Errorf("counted %v", got)
	}
}

func maskedFields(rm metricdata.ResourceMetrics) map[string]int64 {
	counts := make(map[string]int64)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "guildhall.rpc.fields.masked" {
				continue
			}
			for _, p := range sum.DataPoints {
				class, _ := p.Attributes.Value("class")
				visibility, _ := p.Attributes.Value("visibility")
				counts[class.AsString()+" "+visibility.AsString()] += p.Value
			}
		}
	}
	return counts
}

// TestDisclose_unrestrictedIsNotAsked: where there are no policies, and for what
// has no classes, nobody is asked.
func TestDisclose_unrestrictedIsNotAsked(t *testing.T) {
	s, e := restricted(t, map[string]permissionv1.Visibility{"contact": seenHidden})
	s.checker.restricted = false
	ctx, c := s.customers(t)
	if got, err := c.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: ada}); err != nil || !proto.Equal(got, stored) {
		t.Errorf("got %v, %v", got, err)
	}
	s.checker.restricted = true
	if _, err := permissionv1.NewRoleServiceClient(s.dial(nil)).GetRole(ctx, &permissionv1.GetRoleRequest{Name: "organizations/acme/roles/r"}); err != nil {
		t.Error(err)
	}
	if len(e.asked) != 0 {
		t.Errorf("asked about %v", e.asked)
	}
}

// TestDisclose_unknownShowsNothing: who cannot be asked about shows nothing.
func TestDisclose_unknownShowsNothing(t *testing.T) {
	s, e := restricted(t, nil)
	e.away = errs.New(errs.Unavailable, "PERMISSION_UNAVAILABLE", "away")
	ctx, c := s.customers(t)
	if got, err := c.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: ada}); !errs.Is(err, errs.Unavailable) || got.GetEmail() != "" {
		t.Errorf("got %v, %v", got, err)
	}
	none := newSuite(t)
	none.checker.restricted = true
	ctx, c = none.customers(t)
	if got, err := c.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: ada}); !errs.Is(err, errs.Internal) || got.GetEmail() != "" {
		t.Errorf("without a discloser: %v, %v", got, err)
	}
}

// TestDisclose_filtersByWhatIsSeen: matches tell what a mask hides.
func TestDisclose_filtersByWhatIsSeen(t *testing.T) {
	s, _ := restricted(t, map[string]permissionv1.Visibility{"contact": seenMasked})
	ctx, c := s.customers(t)
	for filter, refused := range map[string]bool{
		`email = "ada@example.com"`: true, `state = ACTIVE AND phone="+8613800138000"`: true, `customers.email = "x"`: true,
		`external_id = "email"`: false, `state = ACTIVE`: false, ``: false,
	} {
		_, err := c.ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: "organizations/acme", Filter: filter})
		if got := errs.ReasonOf(err) == reasonRestricted && errs.Is(err, errs.Denied); got != refused {
			t.Errorf("%s: %v", filter, err)
		}
		if refused && (len(errs.From(err).Violations) != 1 || errs.From(err).Violations[0].Field != "filter") {
			t.Errorf("%s: violations %v", filter, errs.From(err).Violations)
		}
	}
}

// TestDisclose_maskedValuesAreNotWrittenBack: who sends back what he got would
// overwrite what he never saw.
func TestDisclose_maskedValuesAreNotWrittenBack(t *testing.T) {
	s, e := restricted(t, map[string]permissionv1.Visibility{"contact": seenMasked})
	ctx, c := s.customers(t)
	got, err := c.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: ada})
	if err != nil {
		t.Fatal(err)
	}
	got.Phone = "" // the pattern of numbers refuses a masked one anyway
	got.Country = "SG"
	update := func(paths ...string) error {
		_, err := c.UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: got, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	for _, w := range []struct {
		paths []string
		field string
	}{
		{nil, "customer.email"}, {[]string{"*"}, "customer.email"}, {[]string{"country", "email"}, "customer.email"}, {[]string{"phone"}, "customer.phone"},
	} {
		err := update(w.paths...)
		if errs.ReasonOf(err) != reasonRestricted || errs.From(err).Violations[0].Field != w.field {
			t.Errorf("%v: %v %v", w.paths, err, errs.From(err).Violations)
		}
	}
	if err := update("country"); err != nil {
		t.Errorf("what he sees: %v", err)
	}
	e.set("contact", seenFull)
	if err := update("*"); err != nil {
		t.Errorf("who sees all: %v", err)
	}
}

// TestDisclose_importRevealsWhatIsThere: which lines are known tells what the
// customers' addresses are.
func TestDisclose_importRevealsWhatIsThere(t *testing.T) {
	s, _ := restricted(t, map[string]permissionv1.Visibility{"identity": seenHidden})
	s.handlers.imports = func(stream grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]) error {
		_, err := stream.Recv()
		return err
	}
	ctx, c := s.customers(t)
	stream, err := c.ImportCustomers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{Options: &identityv1.ImportOptions{Parent: "organizations/acme"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); errs.ReasonOf(err) != reasonRestricted {
		t.Errorf("got %v", err)
	}
}

// TestDisclose_openStreamHearsOfAPolicy: a policy that is made while a stream is
// open masks what it sends soon after.
func TestDisclose_openStreamHearsOfAPolicy(t *testing.T) {
	s, _ := restricted(t, map[string]permissionv1.Visibility{"message": seenHidden}, func(cfg *Config) { cfg.Recheck = time.Nanosecond; cfg.Values = ofOneType })
	s.checker.restricted = false
	ctx, cancel := context.WithCancel(as(t.Context(), s.token(5*time.Minute)))
	defer cancel()
	stream, err := groupchatv1.NewMessageServiceClient(s.dial(nil)).StreamMessages(ctx, &groupchatv1.StreamMessagesRequest{Parent: group})
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, 0, 2)
	for len(texts) < 2 {
		step, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if text := step.GetMessage().GetText(); !slices.Contains(texts, text) {
			texts = append(texts, text)
			s.checker.restrict()
		}
	}
	if diff := cmp.Diff([]string{"hello", ""}, texts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// ofOneType says that all messages have one type.
func ofOneType(context.Context, *authz.Rule, proto.Message) (authz.Values, error) {
	return authz.Values{Of: []string{"general"}}, nil
}

func (g *grants) restrict() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.restricted = true
}
