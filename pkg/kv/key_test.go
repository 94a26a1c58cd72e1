package kv_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/kv"
)

// fakeHasher is a hash that anyone can compute, good for tests only.
type fakeHasher struct{}

func (fakeHasher) Hash(context string, value []byte) []byte {
	out := make([]byte, 16)
	for i, b := range fmt.Appendf(nil, "%s|%s", context, value) {
		out[i%16] = out[i%16]*31 + b
	}
	return out
}

func encode(t interface{ Fatal(...any) }, k kv.Key) []byte {
	b, err := k.Encode(nil, fakeHasher{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// part draws a part; the few short texts over a nasty alphabet make prefixes
// and escapes meet often.
func part() *rapid.Generator[kv.Part] {
	text := rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 'a', 0xff}), 0, 4, -1)
	return rapid.OneOf(
		rapid.Map(text, kv.String),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xfe, 0xff}), 0, 4), kv.Bytes),
		rapid.Map(rapid.Uint64(), kv.Uint64),
		rapid.Map(rapid.Int64(), kv.Int64),
		rapid.Custom(func(t *rapid.T) kv.Part {
			sec := rapid.Int64Range(-1e11, 1e11).Draw(t, "sec")
			return kv.Time(time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")))
		}),
	)
}

func key() *rapid.Generator[kv.Key] {
	return rapid.Map(rapid.SliceOfN(part(), 0, 3), func(p []kv.Part) kv.Key { return kv.Key(p) })
}

// compare is the order of tuples, from the parts' values alone.
func compare(a, b kv.Key) int {
	return slices.CompareFunc(a, b, func(p, q kv.Part) int {
		switch v := p.Value().(type) {
		case string:
			if w, ok := q.Value().(string); ok {
				return cmp.Compare(v, w)
			}
		case []byte:
			if w, ok := q.Value().([]byte); ok {
				return bytes.Compare(v, w)
			}
		case uint64:
			if w, ok := q.Value().(uint64); ok {
				return cmp.Compare(v, w)
			}
		case int64:
			if w, ok := q.Value().(int64); ok {
				return cmp.Compare(v, w)
			}
		case time.Time:
			if w, ok := q.Value().(time.Time); ok {
				return v.Compare(w)
			}
		}
		return cmp.Compare(rank(p), rank(q))
	})
}

func rank(p kv.Part) int {
	return slices.Index([]string{"string", "[]uint8", "uint64", "int64", "time.Time"}, fmt.Sprintf("%T", p.Value()))
}

func TestKey_encodingsOrderAsTuples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := key().Draw(t, "a"), key().Draw(t, "b")
		if got, want := bytes.Compare(encode(t, a), encode(t, b)), compare(a, b); got != want {
			t.Fatalf("compare encodings of %v and %v = %d, want %d", a, b, got, want)
		}
	})
}

func TestKey_roundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := key().Draw(t, "key")
		got, err := kv.DecodeKey(encode(t, want))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("DecodeKey(Encode(%v)) = %v, %v", want, got, err)
		}
	})
}

// An encoding begins another exactly when its tuple begins the other tuple.
func TestKey_prefixOfEncodingIsPrefixOfTuple(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := key().Draw(t, "a"), key().Draw(t, "b")
		got := bytes.HasPrefix(encode(t, b), encode(t, a))
		want := len(a) <= len(b) && slices.Equal(a, b[:min(len(a), len(b))])
		if got != want {
			t.Fatalf("%v begins %v: %t in bytes, %t in parts", a, b, got, want)
		}
	})
}

func TestKey_embeddedNulIsNoTerminator(t *testing.T) {
	short, long := encode(t, kv.Key{kv.String("a")}), encode(t, kv.Key{kv.String("a\x00b")})
	if bytes.HasPrefix(long, short) {
		t.Fatalf("%x begins %x", short, long)
	}
}

func TestPersonal_hashedPerContextAndNeverShown(t *testing.T) {
	const mail = "ada@example.com"
	k := kv.Key{kv.String("acme"), kv.Personal(mail)}
	raw := encode(t, k)
	other, err := k.Encode(nil, fakeHasher{}, "another table")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(mail)) || bytes.Equal(raw, other) {
		t.Errorf("encodings %x and %x: want neither to hold the value, nor both to be equal", raw, other)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(shown, "ada") {
		t.Errorf("formatted key shows the value: %s", shown)
	}
	back, err := kv.DecodeKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	if back[1].Value() != nil {
		t.Errorf("value of a decoded personal part = %v, want nil", back[1].Value())
	}
	if again := encode(t, back); !bytes.Equal(again, raw) {
		t.Errorf("decoded key encodes to %x, want %x", again, raw)
	}
}

func TestEncode_personalNeedsHasher(t *testing.T) {
	if raw, err := (kv.Key{kv.Personal("x")}).Encode(nil, nil, "t"); err == nil {
		t.Errorf("Encode without a hasher = %x, want an error", raw)
	}
	if raw, err := (kv.Key{kv.Personal("x")}).Encode(nil, brokenHasher{}, "t"); err == nil {
		t.Errorf("Encode with a hasher that fails = %x, want an error", raw)
	}
	if raw, err := (kv.Key{{}}).Encode(nil, nil, "t"); err == nil {
		t.Errorf("Encode of the zero Part = %x, want an error", raw)
	}
}

type brokenHasher struct{}

func (brokenHasher) Hash(string, []byte) []byte { return nil }

func TestDecodeKey_malformed(t *testing.T) {
	for _, b := range [][]byte{
		{0x00}, {0x01}, {0xfe}, {0x10}, {0x10, 'a'}, {0x10, 'a', 0}, {0x10, 'a', 0, 2},
		{0x20, 1, 2}, {0x30, 0, 0, 0, 0, 0, 0, 0, 0}, {0x40, 1},
		{0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
	} {
		if k, err := kv.DecodeKey(b); err == nil {
			t.Errorf("DecodeKey(%x) = %v, want an error", b, k)
		}
	}
}

func TestTime_zonesAndExtremes(t *testing.T) {
	zone := time.FixedZone("east", 8*3600)
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	if kv.Time(now) != kv.Time(now.In(zone)) {
		t.Error("one instant in two zones makes two parts")
	}
	for _, at := range []time.Time{{}, now, time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)} {
		k, err := kv.DecodeKey(encode(t, kv.Key{kv.Time(at)}))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := k[0].Value().(time.Time); !ok || !got.Equal(at) {
			t.Errorf("time %v came back as %v", at, k[0].Value())
		}
	}
}

// What decodes encodes to the same bytes: there is one encoding of a key.
func FuzzKeyDecode(f *testing.F) {
	for _, k := range []kv.Key{
		nil, {kv.String("a\x00b"), kv.Uint64(7)}, {kv.Bytes(nil)}, {kv.Int64(-1), kv.Time(time.Unix(1, 2))},
	} {
		raw, err := k.Encode(nil, nil, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := kv.DecodeKey(raw)
		if err != nil {
			return
		}
		if again := encode(t, k); !bytes.Equal(again, raw) {
			t.Fatalf("%x decodes to %v, which encodes to %x", raw, k, again)
		}
	})
}
