package likeness_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/seal"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/likeness"
)

// told writes evidence down: "+NAME ~PHONE -COUNTRY".
func told(evidence []*identityv1.DuplicateEvidence) string {
	var out []string
	for _, e := range evidence {
		out = append(out, string(" +~-"[e.GetVerdict()])+strings.TrimPrefix(e.GetField().String(), "FIELD_"))
	}
	return strings.Join(out, " ")
}

func TestCompare_weighsWhatBothHave(t *testing.T) {
	base := &storev1.Account{DisplayName: "王小明", Email: "xm.wang@example.com", Phone: "+8613800138000", ExternalId: "1", Country: "China"}
	for _, c := range []struct {
		other  *storev1.Account
		want   string
		likely bool
	}{
		{&storev1.Account{}, "", false},
		{&storev1.Account{DisplayName: "王小明"}, "+NAME", true},
		{&storev1.Account{DisplayName: "王小明", Country: "CHINA"}, "+NAME +COUNTRY", true},
		{&storev1.Account{DisplayName: "王小明", Email: "else@example.com", Phone: "+8613900139000"}, "+NAME -EMAIL -PHONE", false},
		{&storev1.Account{DisplayName: "Xiaoming Wang"}, "~NAME", false},
		{&storev1.Account{DisplayName: "王晓明"}, "~NAME", false},
		{&storev1.Account{DisplayName: "Xiaoming Wang", Email: "XM.WANG@work.example"}, "~NAME +EMAIL", true},
		{&storev1.Account{Email: "xm.wang@work.example"}, "+EMAIL", true},
		{&storev1.Account{DisplayName: "Anna", Email: "xm.wang@work.example"}, "-NAME +EMAIL", false},
		{&storev1.Account{Email: "xmwang@example.com"}, "-EMAIL", false},
		{&storev1.Account{Email: "xm.wang+shop@example.com"}, "-EMAIL", false},
		{&storev1.Account{Phone: "+113800138000"}, "+PHONE", true},
		{&storev1.Account{DisplayName: "王小明", ExternalId: "2"}, "+NAME -EXTERNAL_ID", false},
		{&storev1.Account{DisplayName: "王小明", Phone: "+0113800138000", ExternalId: "2"}, "+NAME +PHONE -EXTERNAL_ID", true},
		{&storev1.Account{Country: "China"}, "+COUNTRY", false},
	} {
		evidence := likeness.Compare(base, c.other, nil)
		if got := told(evidence); got != c.want || likeness.Score(evidence) >= 0.5 != c.likely {
			t.Errorf("%v: %s with %v, want %s, likely %t", c.other, got, likeness.Score(evidence), c.want, c.likely)
		}
	}
}

func TestCompare_knowsSlipsOfThePen(t *testing.T) {
	for pair, want := range map[[2]string]string{
		{"Jon Smith", "John Smith"}:                 "~NAME",
		{"Smith John", "John Smith"}:                "+NAME",
		{"Katherine Johnson", "Catherine Johnston"}: "~NAME",
		{"Ann", "Anna"}:                             "-NAME",
		{"John Smith", "Joan Smythe"}:               "-NAME",
		{"José García", "jose garcia"}:              "+NAME",
		{"Maria Anders", "Thomas Hardy"}:            "-NAME",
		{"上海永乐贸易有限公司", "上海永乐贸易公司"}:                  "-NAME",
	} {
		got := told(likeness.Compare(&storev1.Account{DisplayName: pair[0]}, &storev1.Account{DisplayName: pair[1]}, nil))
		if got != want {
			t.Errorf("%q: %s, want %s", pair, got, want)
		}
	}
}

// TestScore_isLessForWhatManyShare: of twenty of one name two are less likely one
// person than of two.
func TestScore_isLessForWhatManyShare(t *testing.T) {
	a, b := &storev1.Account{DisplayName: "张伟"}, &storev1.Account{DisplayName: "张伟"}
	last := 1.0
	for _, n := range []int{2, 3, 10, 20} {
		score := likeness.Score(likeness.Compare(a, b, map[identityv1.DuplicateEvidence_Field]int{identityv1.DuplicateEvidence_FIELD_NAME: n}))
		if score >= last {
			t.Errorf("of %d: %v, want less than %v", n, score, last)
		}
		last = score
	}
}

func TestKeys_ofWhatSaysNothingAreNone(t *testing.T) {
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*storev1.Account{
		{}, {Email: "info@example.com"}, {Email: "ab@example.com"}, {Phone: "+12345678"}, {DisplayName: "王"}, {DisplayName: "--"},
	} {
		if keys := likeness.Keys(ring, a); len(keys) != 0 {
			t.Errorf("%v has %d keys", a, len(keys))
		}
	}
}

// account draws a customer of few values, so that many are alike.
func account(t *rapid.T, label string) *storev1.Account {
	pick := func(field string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label+field) }
	return &storev1.Account{
		DisplayName: pick("name", "", "王小明", "Wang Xiaoming", "小明 王", "John Smith", "Jon Smith", "单伟", "Shan Wei"),
		Email:       pick("email", "", "john@a.example", "JOHN@b.example", "smith@a.example", "info@a.example"),
		Phone:       pick("phone", "", "+8613800138000", "+113800138000", "+8613900139000"),
		ExternalId:  pick("id", "", "1", "2"), Country: pick("country", "", "China", "china", "France"),
	}
}

// TestKeys_findWhatAgrees: two who agree in what is looked up share a key of it, and
// who shares one agrees in that, or nearly; and it is all one from which side.
func TestKeys_findWhatAgrees(t *testing.T) {
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := account(t, "a "), account(t, "b ")
		evidence := likeness.Compare(a, b, nil)
		if diff := cmp.Diff(evidence, likeness.Compare(b, a, nil), protocmp.Transform()); diff != "" {
			t.Errorf("from the other side (-one +other):\n%s", diff)
		}
		shared := make(map[identityv1.DuplicateEvidence_Field]bool)
		for _, k := range likeness.Common(likeness.Keys(ring, a), likeness.Keys(ring, b)) {
			shared[k.Field()] = true
		}
		for _, e := range evidence {
			agrees := e.GetVerdict() == identityv1.DuplicateEvidence_VERDICT_AGREES
			contradicts := e.GetVerdict() == identityv1.DuplicateEvidence_VERDICT_CONTRADICTS
			lookedUp := e.GetField() <= identityv1.DuplicateEvidence_FIELD_PHONE
			if lookedUp && (agrees && !shared[e.GetField()] || contradicts && shared[e.GetField()]) {
				t.Errorf("%v, and shared are %v", e, shared)
			}
		}
		if len(likeness.Keys(ring, a)) >= 20 || !slices.IsSortedFunc(likeness.Keys(ring, a), likeness.Key.Compare) {
			t.Errorf("keys are %v", likeness.Keys(ring, a))
		}
		if score := likeness.Score(evidence); score < 0 || score > 1 {
			t.Errorf("score %v", score)
		}
		if same := fmt.Sprint(likeness.Print(ring, a)) == fmt.Sprint(likeness.Print(ring, b)); same && told(evidence) != told(likeness.Compare(a, a, nil)) {
			t.Errorf("one print of %v and %v", a, b)
		}
	})
}
