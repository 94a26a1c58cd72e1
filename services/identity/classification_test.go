package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) tags() identityv1.TagServiceClient { return identityv1.NewTagServiceClient(p.conn) }

func (p *process) attributes() identityv1.AttributeServiceClient {
	return identityv1.NewAttributeServiceClient(p.conn)
}

// tagGroup makes a group with tags and returns their names.
func (p *process) tagGroup(ctx context.Context, id string, exclusive bool, tags ...string) (names []string) {
	p.t.Helper()
	g, err := p.tags().CreateTagGroup(ctx, &identityv1.CreateTagGroupRequest{
		Parent: org, TagGroupId: id, TagGroup: &identityv1.TagGroup{DisplayName: id, Exclusive: exclusive},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, id := range tags {
		made, err := p.tags().CreateTag(ctx, &identityv1.CreateTagRequest{Parent: g.GetName(), TagId: id, Tag: &identityv1.Tag{DisplayName: id}})
		if err != nil {
			p.t.Fatal(err)
		}
		names = append(names, made.GetName())
	}
	return names
}

// define makes an attribute.
func (p *process) define(ctx context.Context, id string, d *identityv1.AttributeDefinition) *identityv1.AttributeDefinition {
	p.t.Helper()
	d.DisplayName = id
	made, err := p.attributes().CreateAttributeDefinition(ctx, &identityv1.CreateAttributeDefinitionRequest{
		Parent: org, AttributeDefinitionId: id, AttributeDefinition: d,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

func number(n float64) *identityv1.AttributeValue {
	return &identityv1.AttributeValue{Kind: &identityv1.AttributeValue_NumberValue{NumberValue: n}}
}

func words(s string) *identityv1.AttributeValue {
	return &identityv1.AttributeValue{Kind: &identityv1.AttributeValue_StringValue{StringValue: s}}
}

func day(s string) *identityv1.AttributeValue {
	return &identityv1.AttributeValue{Kind: &identityv1.AttributeValue_DateValue{DateValue: s}}
}

func choice(s string) *identityv1.AttributeValue {
	return &identityv1.AttributeValue{Kind: &identityv1.AttributeValue_EnumValue{EnumValue: s}}
}

func TestTags_ofAnExclusiveGroupGoOneAtATime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		loyalty := p.tagGroup(ctx, "loyalty", true, "gold", "silver")
		likes := p.tagGroup(ctx, "likes", false, "tea", "wine")
		c := p.add(ctx, "c1", &identityv1.Customer{Tags: []string{likes[1], loyalty[0]}})
		if got := strings.Join(c.GetTags(), " "); got != likes[1]+" "+loyalty[0] {
			t.Errorf("tags: %s", got)
		}
		classify := func(add, remove []string) (*identityv1.Customer, error) {
			return p.customers().ClassifyCustomer(ctx, &identityv1.ClassifyCustomerRequest{Name: c.GetName(), AddTags: add, RemoveTags: remove})
		}
		_, err := classify([]string{loyalty[1]}, nil)
		wantError(t, err, errs.Invalid, "TAGS_EXCLUSIVE")
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "add_tags" {
			t.Errorf("violations: %v", v)
		}
		c, err = classify([]string{loyalty[1], likes[0]}, []string{loyalty[0], likes[1]})
		if err != nil || strings.Join(c.GetTags(), " ") != likes[0]+" "+loyalty[1] {
			t.Errorf("classify: %v %v", c, err)
		}
		_, err = classify([]string{org + "/tagGroups/likes/tags/beer"}, nil)
		wantError(t, err, errs.NotFound, "TAG_NOT_FOUND")
		_, err = classify([]string{"organizations/other/tagGroups/likes/tags/tea"}, nil)
		wantError(t, err, errs.Invalid, "PARENT_MISMATCH")
		_, err = classify([]string{"tea"}, nil)
		wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")

		found, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: fmt.Sprintf("tag = %q", likes[0])})
		if err != nil || len(found.GetCustomers()) != 1 {
			t.Errorf("customers of the tag: %v %v", found, err)
		}
		_, err = p.tags().DeleteTag(ctx, &identityv1.DeleteTagRequest{Name: likes[0]})
		wantError(t, err, errs.Precondition, "TAG_IN_USE")
		_, err = p.tags().DeleteTagGroup(ctx, &identityv1.DeleteTagGroupRequest{Name: org + "/tagGroups/likes"})
		wantError(t, err, errs.Precondition, "TAG_GROUP_NOT_EMPTY")
		if _, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
			Customer: &identityv1.Customer{Name: c.GetName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"tags"}},
		}); err != nil {
			t.Fatal(err)
		}
		for _, name := range likes {
			if _, err := p.tags().DeleteTag(ctx, &identityv1.DeleteTagRequest{Name: name}); err != nil {
				t.Error(err)
			}
		}
		if _, err := p.tags().DeleteTagGroup(ctx, &identityv1.DeleteTagGroupRequest{Name: org + "/tagGroups/likes"}); err != nil {
			t.Error(err)
		}
	})
}

func TestTags_haveStandardMethods(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	names := p.tagGroup(ctx, "loyalty", true, "bronze", "gold", "silver")
	_, err := p.tags().CreateTagGroup(ctx, &identityv1.CreateTagGroupRequest{Parent: org, TagGroupId: "loyalty", TagGroup: &identityv1.TagGroup{DisplayName: "x"}})
	wantError(t, err, errs.Exists, "TAG_GROUP_EXISTS")
	_, err = p.tags().CreateTag(ctx, &identityv1.CreateTagRequest{Parent: org + "/tagGroups/none", Tag: &identityv1.Tag{DisplayName: "x"}})
	wantError(t, err, errs.NotFound, "TAG_GROUP_NOT_FOUND")
	group, err := p.tags().UpdateTagGroup(ctx, &identityv1.UpdateTagGroupRequest{TagGroup: &identityv1.TagGroup{Name: org + "/tagGroups/loyalty", DisplayName: "Loyalty"}})
	if err != nil || group.GetDisplayName() != "Loyalty" || !group.GetExclusive() {
		t.Errorf("update: %v %v", group, err)
	}
	_, err = p.tags().UpdateTagGroup(ctx, &identityv1.UpdateTagGroupRequest{
		TagGroup: &identityv1.TagGroup{Name: group.GetName(), DisplayName: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"exclusive"}},
	})
	wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
	tag, err := p.tags().GetTag(ctx, &identityv1.GetTagRequest{Name: names[1]})
	if err != nil || tag.GetEtag() == "" {
		t.Fatalf("get: %v %v", tag, err)
	}
	_, err = p.tags().UpdateTag(ctx, &identityv1.UpdateTagRequest{Tag: &identityv1.Tag{Name: names[1], DisplayName: "Au", Etag: "other"}})
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	if tag, err = p.tags().UpdateTag(ctx, &identityv1.UpdateTagRequest{Tag: &identityv1.Tag{Name: names[1], DisplayName: "Au", Etag: tag.GetEtag()}}); err != nil || tag.GetDisplayName() != "Au" {
		t.Errorf("update: %v %v", tag, err)
	}
	first, err := p.tags().ListTags(ctx, &identityv1.ListTagsRequest{Parent: group.GetName(), PageSize: 2})
	if err != nil || len(first.GetTags()) != 2 {
		t.Fatalf("list: %v %v", first, err)
	}
	second, err := p.tags().ListTags(ctx, &identityv1.ListTagsRequest{Parent: group.GetName(), PageSize: 2, PageToken: first.GetNextPageToken()})
	if err != nil || len(second.GetTags()) != 1 || second.GetTags()[0].GetName() != names[2] || second.GetNextPageToken() != "" {
		t.Errorf("the next page: %v %v", second, err)
	}
}

// long: a table of definitions and values.
func TestAttributes_areHeldToTheirDefinitions(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		low, high := 0.0, 1000.0
		p.define(ctx, "points", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_NUMBER, MinNumber: &low, MaxNumber: &high})
		p.define(ctx, "note", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_STRING, MaxLength: 4})
		p.define(ctx, "born", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_DATE, MinDate: "1900-01-01", PersonalData: true})
		p.define(ctx, "size", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_ENUM, EnumValues: []string{"S", "M"}})
		retired := p.define(ctx, "old", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_STRING})
		c := p.add(ctx, "c1", &identityv1.Customer{Attributes: map[string]*identityv1.AttributeValue{"old": words("x")}}).GetName()
		if _, err := p.attributes().UpdateAttributeDefinition(ctx, &identityv1.UpdateAttributeDefinitionRequest{
			AttributeDefinition: &identityv1.AttributeDefinition{Name: retired.GetName(), DisplayName: "old", Type: retired.GetType(), Retired: true},
			UpdateMask:          &fieldmaskpb.FieldMask{Paths: []string{"retired"}},
		}); err != nil {
			t.Fatal(err)
		}
		set := func(id string, v *identityv1.AttributeValue) (*identityv1.Customer, error) {
			return p.customers().ClassifyCustomer(ctx, &identityv1.ClassifyCustomerRequest{Name: c, SetAttributes: map[string]*identityv1.AttributeValue{id: v}})
		}
		for _, good := range []struct {
			id string
			v  *identityv1.AttributeValue
		}{{"points", number(1000)}, {"note", words("茶茶茶茶")}, {"born", day("2000-02-29")}, {"size", choice("M")}, {"old", words("x")}} {
			if _, err := set(good.id, good.v); err != nil {
				t.Errorf("%s = %v: %v", good.id, good.v, err)
			}
		}
		for _, bad := range []struct {
			id, reason string
			v          *identityv1.AttributeValue
		}{
			{"points", "ATTRIBUTE_VALUE_INVALID", number(-1)},
			{"points", "ATTRIBUTE_VALUE_INVALID", words("12")},
			{"note", "ATTRIBUTE_VALUE_INVALID", words("five!")},
			{"born", "ATTRIBUTE_VALUE_INVALID", day("2001-02-29")},
			{"born", "ATTRIBUTE_VALUE_INVALID", day("1899-12-31")},
			{"size", "ATTRIBUTE_VALUE_INVALID", choice("XL")},
			{"size", "ATTRIBUTE_VALUE_INVALID", words("M")},
			{"old", "ATTRIBUTE_RETIRED", words("y")},
			{"none", "ATTRIBUTE_UNKNOWN", words("y")},
		} {
			_, err := set(bad.id, bad.v)
			wantError(t, err, errs.Invalid, bad.reason)
			if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "set_attributes."+bad.id {
				t.Errorf("%s = %v: violations %v", bad.id, bad.v, v)
			}
		}
		now, err := p.customers().ClassifyCustomer(ctx, &identityv1.ClassifyCustomerRequest{Name: c, ClearAttributes: []string{"note", "old", "none"}})
		if err != nil || len(now.GetAttributes()) != 3 || now.GetAttributes()["born"].GetDateValue() != "2000-02-29" {
			t.Errorf("clear: %v %v", now, err)
		}
		replaced, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
			Customer: &identityv1.Customer{Name: c, Attributes: map[string]*identityv1.AttributeValue{"points": number(7)}, Etag: now.GetEtag()},
		})
		if err != nil || len(replaced.GetAttributes()) != 1 {
			t.Errorf("replace: %v %v", replaced, err)
		}
	})
}

func TestAttributeDefinitions_refuseWhatNothingCouldMeet(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	low, high := 3.0, 1.0
	for field, d := range map[string]*identityv1.AttributeDefinition{
		"max_length":  {Type: identityv1.AttributeDefinition_TYPE_BOOL, MaxLength: 3},
		"max_number":  {Type: identityv1.AttributeDefinition_TYPE_NUMBER, MinNumber: &low, MaxNumber: &high},
		"min_date":    {Type: identityv1.AttributeDefinition_TYPE_DATE, MinDate: "1.1.2000"},
		"enum_values": {Type: identityv1.AttributeDefinition_TYPE_ENUM},
	} {
		d.DisplayName = "x"
		_, err := p.attributes().CreateAttributeDefinition(ctx, &identityv1.CreateAttributeDefinitionRequest{Parent: org, AttributeDefinitionId: "x", AttributeDefinition: d})
		wantError(t, err, errs.Invalid, "ATTRIBUTE_BOUNDS_INVALID")
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "attribute_definition."+field {
			t.Errorf("%s: violations %v", field, v)
		}
	}
	for id, reason := range map[string]string{"in": "ATTRIBUTE_ID_INVALID", "1st": "ATTRIBUTE_ID_INVALID", "": "RESOURCE_NAME_INVALID", "a_b": "RESOURCE_NAME_INVALID"} {
		_, err := p.attributes().CreateAttributeDefinition(ctx, &identityv1.CreateAttributeDefinitionRequest{
			Parent: org, AttributeDefinitionId: id, AttributeDefinition: &identityv1.AttributeDefinition{DisplayName: "x", Type: identityv1.AttributeDefinition_TYPE_BOOL},
		})
		wantError(t, err, errs.Invalid, reason)
	}
}

func TestExplainSegmentMembership_saysWhatEachPartComesTo(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	gold := p.tagGroup(ctx, "loyalty", true, "gold")[0]
	p.define(ctx, "annual-spend", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_NUMBER})
	p.define(ctx, "born", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_DATE, PersonalData: true})
	c := p.add(ctx, "c1", &identityv1.Customer{Country: "CN", Tags: []string{gold}, Attributes: map[string]*identityv1.AttributeValue{"born": day("1980-05-01")}})
	s := p.segment(ctx, "s1", `customer.country == "CN" && ("loyalty/gold" in customer.tags || customer.attributes.annual_spend > 1000) && !(customer.attributes.born > timestamp("1990-01-01T00:00:00Z"))`)
	p.evaluated(ctx, s.GetName())
	why, err := p.segments().ExplainSegmentMembership(ctx, &identityv1.ExplainSegmentMembershipRequest{Parent: c.GetName(), Segment: s.GetName()})
	if err != nil || !why.GetMember() || why.GetRevision() != 1 || why.GetMembership().GetCause() != identityv1.MembershipCause_MEMBERSHIP_CAUSE_RULE {
		t.Fatalf("explain: %v %v", why, err)
	}
	var got []string
	for _, part := range why.GetParts() {
		line := fmt.Sprintf("%d %s %s", part.GetDepth(), strings.TrimPrefix(part.GetOutcome().String(), "OUTCOME_"), part.GetExpression())
		for _, in := range part.GetInputs() {
			value := "hidden"
			if !in.GetHidden() {
				value = fmt.Sprint(in.GetValue().AsInterface())
			}
			line += " [" + in.GetVariable() + " " + value + "]"
		}
		got = append(got, line)
	}
	want := []string{
		`0 TRUE ` + why.GetRule(),
		`1 TRUE customer.country == "CN" [customer.country CN]`,
		`1 TRUE "loyalty/gold" in customer.tags || customer.attributes.annual_spend > 1000`,
		`2 TRUE "loyalty/gold" in customer.tags [customer.tags [loyalty/gold]]`,
		`2 FAILED customer.attributes.annual_spend > 1000 [customer.attributes.annual_spend <nil>]`,
		`1 TRUE !(customer.attributes.born > timestamp("1990-01-01T00:00:00Z"))`,
		`2 FALSE customer.attributes.born > timestamp("1990-01-01T00:00:00Z") [customer.attributes.born hidden]`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("parts:\n%s\nwant\n%s", g, w)
	}
	_, err = p.segments().ExplainSegmentMembership(ctx, &identityv1.ExplainSegmentMembershipRequest{Parent: c.GetName(), Segment: "organizations/other/segments/s1"})
	wantError(t, err, errs.NotFound, "SEGMENT_NOT_FOUND")
}
