package account

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/segment"
)

// Classes are changes of a customer's tags and attributes.
type Classes struct {
	Add, Remove []string // names of tags
	Set         map[string]*identityv1.AttributeValue
	Clear       []string // ids of attributes
}

// Classify changes the tags and attributes of a customer that are named, and
// leaves the others. Errors are NotFound (CUSTOMER_NOT_FOUND, TAG_NOT_FOUND),
// Conflict (ETAG_MISMATCH), Precondition (ILLEGAL_STATE) for a deleted customer,
// Invalid for what its definition or its group does not allow (see package
// attribute and tag), and what the permit returns for segments that the customer
// would join or leave.
func (b *Book) Classify(tx *change.Tx, name, etag string, c Classes, permit segment.Permit) (kv.Record[*storev1.Account], error) {
	old, err := b.changeable(tx, name, etag)
	if err != nil {
		return old, err
	}
	now := proto.CloneOf(old.Value)
	now.Tags = slices.DeleteFunc(now.Tags, func(t string) bool { return slices.Contains(c.Remove, t) })
	now.Tags = append(now.Tags, c.Add...)
	values := now.GetAttributes()
	if values == nil {
		values = make(map[string]*storev1.Attribute)
	}
	for _, id := range c.Clear {
		delete(values, id)
	}
	maps.Copy(values, Unchecked(c.Set))
	now.Attributes = values
	if err := b.checkClasses(tx, classFields{"add_tags", "set_attributes"}, now, old.Value); err != nil {
		return old, err
	}
	return b.update(tx, old, now, manner{permit: permit})
}

// Unchecked returns values as a caller sends them, before their definitions said
// where they are kept.
func Unchecked(values map[string]*identityv1.AttributeValue) map[string]*storev1.Attribute {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]*storev1.Attribute, len(values))
	for id, v := range values {
		out[id] = &storev1.Attribute{Value: v}
	}
	return out
}

// classFields are the fields of a request that errors name.
type classFields struct{ tags, attributes string }

// ofCustomer are those of a request that carries a whole customer.
func ofCustomer() classFields { return classFields{"customer.tags", "customer.attributes"} }

// checkClasses checks the tags and attributes of now that are not those of old,
// nil for none, and makes them as they are kept.
func (b *Book) checkClasses(r kv.Reader, fields classFields, now, old *storev1.Account) error {
	organization := resource.Parent(now.GetName())
	slices.Sort(now.Tags)
	now.Tags = slices.Compact(now.Tags)
	if !slices.Equal(now.GetTags(), old.GetTags()) {
		if err := b.cfg.Tags.CheckSet(r, fields.tags, organization, now.GetTags()); err != nil {
			return err
		}
	}
	if len(now.GetAttributes()) == 0 {
		return nil
	}
	if sameAttributes(now.GetAttributes(), old.GetAttributes()) {
		now.Attributes = old.GetAttributes()
		return nil
	}
	definitions, err := b.cfg.Attributes.All(r, organization)
	if err != nil {
		return err
	}
	now.Attributes, err = definitions.Store(fields.attributes, attribute.Values(now.GetAttributes()), old.GetAttributes())
	return err
}

func sameAttributes(a, b map[string]*storev1.Attribute) bool {
	return maps.EqualFunc(a, b, func(x, y *storev1.Attribute) bool { return proto.Equal(attribute.Value(x), attribute.Value(y)) })
}

// CheckTagUnused returns Precondition (TAG_IN_USE) when a customer has the tag,
// a deleted one too: it could come back with it.
func (b *Book) CheckTagUnused(r kv.Reader, name string) error {
	organization := resource.Parent(resource.Parent(name))
	n, err := b.customers.Count(r, kv.Query{Index: byTag, Prefix: kv.Key{kv.String(organization), kv.String(name)}, Limit: 1})
	if err == nil && n > 0 {
		err = errs.New(errs.Precondition, "TAG_IN_USE", "customers have the tag; take it from them first")
	}
	return err
}
