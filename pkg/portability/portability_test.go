package portability_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

const (
	carl = "organizations/acme/customers/carl"
	mei  = "organizations/acme/customers/mei"
)

// members is a table like a service has, of what hangs on a subject.
func members() *kv.Table[*groupchatv1.Member] {
	return kv.NewTable(kv.TableConfig[*groupchatv1.Member]{
		Name: "members",
		Key:  func(m *groupchatv1.Member) kv.Key { return kv.Key{kv.String(m.GetAccount()), kv.String(m.GetName())} },
	})
}

// two exports a person's one message, and then the person's members: in groups that
// are called hidden there are none of them.
func two(t testing.TB, s kv.Store, service string) *portability.Exporter {
	t.Helper()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return portability.New(portability.Config{Service: service, Store: s, Pages: pages, Kinds: []portability.Kind{
		{Name: "messages", List: portability.One(func(_ kv.Reader, subject string) (proto.Message, bool, error) {
			return &groupchatv1.Message{Name: "first", Text: "你好 <&>", Etag: "e"}, subject == carl, nil
		})},
		{Name: "members", List: portability.FromTable(members(), func(subject string) kv.Query {
			return kv.Query{Prefix: kv.Key{kv.String(subject)}}
		}, func(rec kv.Record[*groupchatv1.Member], _ string) proto.Message {
			if strings.Contains(rec.Value.GetName(), "hidden") {
				return nil
			}
			return rec.Value
		})},
	}})
}

func plant(t testing.TB, s kv.Store, all ...*groupchatv1.Member) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx kv.Tx) error {
		for _, m := range all {
			if _, err := members().Create(tx, m); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func member(account, id string) *groupchatv1.Member {
	return &groupchatv1.Member{Name: id, Account: account, Nickname: "N", CreateTime: timestamppb.Now()}
}

// all reads an export to its end in pages of a size.
func all(t testing.TB, e *portability.Exporter, subject string, size int32) (records []*subjectv1.ExportedRecord, sizes []int) {
	t.Helper()
	req := &subjectv1.ExportSubjectRequest{Subject: subject, PageSize: size}
	for {
		resp, err := e.Export(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		records, sizes = append(records, resp.GetRecords()...), append(sizes, len(resp.GetRecords()))
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return records, sizes
		}
	}
}

// TestExport_eachRecordOnceInOrder: whatever the size of a page, kind follows kind
// and nothing is missed or comes twice.
func TestExport_eachRecordOnceInOrder(t *testing.T) {
	testkit.EachStore(t, "test", members().Tables(), func(t *testing.T, s kv.Store) {
		for i := range 7 {
			plant(t, s, member(carl, fmt.Sprint("g", i)), member(carl, fmt.Sprint("g", i, "hidden")), member(mei, fmt.Sprint("g", i)))
		}
		e := two(t, s, "test")
		for size := range int32(20) {
			got, sizes := all(t, e, carl, size)
			var kinds []string
			for _, r := range got {
				var v struct{ Name string }
				if err := json.Unmarshal([]byte(r.GetJson()), &v); err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, r.GetKind()+" "+v.Name)
			}
			if want := "messages first,members g0,members g1,members g2,members g3,members g4,members g5,members g6"; strings.Join(kinds, ",") != want {
				t.Errorf("in pages of %d (%v): %v", size, sizes, kinds)
			}
		}
		first, _ := all(t, e, carl, 1)
		if want := `{"name":"first","text":"你好 <&>"}`; first[0].GetJson() != want {
			t.Errorf("the record is %s, want %s, without its etag", first[0].GetJson(), want)
		}
		if got, _ := all(t, e, carl+"l", 0); len(got) != 0 {
			t.Errorf("an unknown subject has %v", got)
		}
	})
}

// TestFromPages_knowsWhereEachRecordStands: a centre's own list gives the same pages
// as the table behind it, also where one of them is full in the middle.
func TestFromPages_knowsWhereEachRecordStands(t *testing.T) {
	s := testkit.Store(t, "bolt", "test", members().Tables())
	for i := range 6 {
		m := member(carl, fmt.Sprint("g", i))
		m.Nickname = strings.Repeat("n", 300<<10)
		plant(t, s, m)
	}
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	e := portability.New(portability.Config{Service: "test", Store: s, Pages: pages, Kinds: []portability.Kind{
		{Name: "members", List: portability.FromPages(func(r kv.Reader, subject string, after []byte, limit int) ([]*groupchatv1.Member, []byte, error) {
			found, err := members().List(r, kv.Query{Prefix: kv.Key{kv.String(subject)}, After: after, Limit: limit})
			return found.Values(), found.Next, err
		})},
	}})
	for size, want := range map[int32]string{0: "[3 3]", 2: "[2 2 2]", 4: "[3 3]"} {
		if got, sizes := all(t, e, carl, size); len(got) != 6 || fmt.Sprint(sizes) != want {
			t.Errorf("in pages of %d there are %d records in %v, want 6 in %s", size, len(got), sizes, want)
		}
	}
}

// TestExport_pageEndsBeforeItIsTooLarge: pages of large records are short, and a
// record that is too large by itself comes alone.
func TestExport_pageEndsBeforeItIsTooLarge(t *testing.T) {
	s := testkit.Store(t, "bolt", "test", members().Tables())
	for i, size := range []int{400 << 10, 400 << 10, 400 << 10, 3 << 20, 10} {
		m := member(mei, fmt.Sprint("g", i))
		m.Nickname = strings.Repeat("n", size)
		plant(t, s, m)
	}
	got, sizes := all(t, two(t, s, "test"), mei, 100)
	if len(got) != 5 || fmt.Sprint(sizes) != "[2 1 1 1]" {
		t.Errorf("%d records in pages of %v, want 5 in [2 1 1 1]", len(got), sizes)
	}
}

// TestExport_tokenIsForOneSubjectOfOneService: and one that was not made here, or of
// a kind that is no more, is refused.
func TestExport_tokenIsForOneSubjectOfOneService(t *testing.T) {
	s := testkit.Store(t, "bolt", "test", members().Tables())
	plant(t, s, member(carl, "g1"), member(carl, "g2"))
	e := two(t, s, "test")
	first, err := e.Export(t.Context(), &subjectv1.ExportSubjectRequest{Subject: carl, PageSize: 2})
	if err != nil || first.GetNextPageToken() == "" {
		t.Fatalf("the first page is %v, %v; want one with a token", first, err)
	}
	token := first.GetNextPageToken()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	without := portability.New(portability.Config{Service: "test", Store: s, Pages: pages})
	for _, c := range []struct {
		name, subject, token, reason string
		of                           *portability.Exporter
	}{
		{"of another subject", mei, token, "PAGE_TOKEN_MISMATCH", e},
		{"of another service", carl, token, "PAGE_TOKEN_MISMATCH", two(t, s, "other")},
		{"made up", carl, "AAAA", "PAGE_TOKEN_INVALID", e},
		{"changed", carl, "A" + token[1:len(token)-1], "PAGE_TOKEN_INVALID", e},
		{"of a kind that is gone", carl, token, "PAGE_TOKEN_INVALID", without},
	} {
		_, err := c.of.Export(t.Context(), &subjectv1.ExportSubjectRequest{Subject: c.subject, PageToken: c.token})
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != c.reason {
			t.Errorf("a token %s: %v, want %s", c.name, err, c.reason)
		}
	}
}
