package identity

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/serve"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/chronicle"
	"guildhall.dev/services/identity/internal/collector"
)

// newCollector returns what puts together what there is of a customer.
func newCollector(c *api.Centres, kit *serve.Kit) (*collector.Collector, error) {
	own, err := newExporter(c, kit)
	if err != nil {
		return nil, err
	}
	services := []collector.Service{{Name: name, Export: own.Export}}
	for _, s := range sisters(kit) {
		services = append(services, collector.Service{Name: s.name, Export: s.export})
	}
	return collector.New(collector.Config{
		Store: c.Store, Journal: c.Journal, Requests: c.Rights, Takeouts: c.Takeouts,
		Services: services, Logger: kit.Logger, Clock: kit.Clock,
	}), nil
}

// newExporter returns what gives out what identity itself keeps of a customer: what
// the customer said, did and was sent. Tasks and notes about it are the staff's own.
func newExporter(c *api.Centres, kit *serve.Kit) (*portability.Exporter, error) {
	pages, err := page.NewCodec(kit.Ring.Derive("identity export tokens"))
	if err != nil {
		return nil, err
	}
	return portability.New(portability.Config{Service: name, Store: c.Store, Pages: pages, Kinds: append(preferenceKinds(c), []portability.Kind{
		{Name: "customers", List: portability.One(func(r kv.Reader, customer string) (proto.Message, bool, error) {
			rec, found, err := c.Accounts.Find(r, customer)
			if err != nil || !found {
				return nil, false, err
			}
			return api.Customer(rec), true, nil
		})},
		{Name: "merged_customers", List: portability.FromPages(mergedCustomers(c))},
		{Name: "orders", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Order, []byte, error) {
			found, next, err := c.Orders.List(r, customer, nil, after, limit)
			for i, o := range found { // a list leaves the lines out
				if found[i], err = c.Orders.Get(r, o.GetName()); err != nil {
					return nil, nil, err
				}
			}
			return found, next, err
		})},
		{Name: "interactions", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Interaction, []byte, error) {
			found, next, err := c.Interactions.Of(r, customer, after, limit)
			for _, i := range found { // how good the staff were, and what they are to do, is theirs
				i.Review, i.NextStep, i.Task, i.Creator = nil, "", "", ""
			}
			return found, next, err
		})},
		{Name: "consents", List: portability.FromPages(c.Consents.List)},
		{Name: "consent_records", List: portability.FromPages(c.Consents.Records)},
		{Name: "stage_transitions", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.StageTransition, []byte, error) {
			found, next, err := c.Stages.Transitions(r, customer, after, limit)
			for i, each := range found { // why, and by whom, staff noted for themselves
				found[i] = proto.CloneOf(each)
				found[i].Actor, found[i].Reason = "", ""
			}
			return found, next, err
		})},
		{Name: "timeline_events", List: portability.FromPages(ownTimeline(c))},
		{Name: "sessions", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) (out []*identityv1.Session, next []byte, err error) {
			found, next, err := c.Sessions.List(r, customer, after, limit, kit.Clock())
			for _, each := range found {
				out = append(out, api.Session(each, ""))
			}
			return out, next, err
		})},
		{Name: "deliveries", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Delivery, []byte, error) {
			return c.Outbox.List(r, resource.Parent(customer), filter.Terms{{Field: "account", Op: filter.Equal, Text: customer}}, after, limit)
		})},
		{Name: "data_subject_requests", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.DataSubjectRequest, []byte, error) {
			return c.Rights.List(r, customer, nil, kit.Clock(), after, limit)
		})},
	}...)}), nil
}

// preferenceKinds are what interests a customer, and whether it wants that concluded.
func preferenceKinds(c *api.Centres) []portability.Kind {
	return []portability.Kind{
		{Name: "preferences", List: portability.FromPages(func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Preference, []byte, error) {
			found, next, err := c.Preferences.Of(r, customer, after, limit)
			for _, p := range found {
				p.Creator = "" // of the staff
			}
			return found, next, err
		})},
		{Name: "profiling_choices", List: portability.One(func(r kv.Reader, customer string) (proto.Message, bool, error) {
			choice, err := c.Preferences.Choices.Of(r, customer)
			return &identityv1.ProfilingChoice{Name: choice.GetName(), OptedOut: choice.GetOptedOut(), UpdateTime: choice.GetUpdateTime()}, choice.GetUpdateTime() != nil, err
		})},
	}
}

// ownTimeline lists what a customer may see of its own timeline.
func ownTimeline(c *api.Centres) func(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.TimelineEvent, []byte, error) {
	return func(r kv.Reader, customer string, after []byte, limit int) (out []*identityv1.TimelineEvent, next []byte, err error) {
		found, next, err := c.Timeline.Of(r, customer, after, limit)
		for _, e := range found {
			if own := chronicle.Own(e); own != nil {
				out = append(out, own)
			}
		}
		return out, next, err
	}
}

// mergedCustomers lists who was merged into a customer, as they were: what of it the
// customer does not have now is there alone.
func mergedCustomers(c *api.Centres) func(kv.Reader, string, []byte, int) ([]*identityv1.Customer, []byte, error) {
	return func(r kv.Reader, customer string, after []byte, limit int) (out []*identityv1.Customer, next []byte, err error) {
		found, next, err := c.Merges.Into(r, customer, after, limit)
		for _, k := range found {
			out = append(out, api.Customer(kv.Record[*storev1.Account]{Value: k.GetDuplicate()}))
		}
		return out, next, err
	}
}
