package b64

import (
	"bytes"
	"testing"
)

func TestDecodeString_refusesASecondSpelling(t *testing.T) {
	for _, text := range []string{"YQ\n", "\nYQ", "Y\r\nQ", "YQ==", "YR", "Y", "Y Q", "++--"} {
		for name, e := range map[string]Encoding{"URL": URL, "Std": Std} {
			if b, err := e.DecodeString(text); err == nil {
				t.Errorf("%s decodes %q as %q", name, text, b)
			}
		}
	}
}

func TestPadded_refusesASecondSpelling(t *testing.T) {
	if b, err := Padded.DecodeString("YQ=="); err != nil || string(b) != "a" {
		t.Errorf("Padded decodes %q, %v; want a", b, err)
	}
	for _, text := range []string{"YQ", "YQ=", "YQ==\n", "YR==", "Y\r\nQ=="} {
		if b, err := Padded.DecodeString(text); err == nil {
			t.Errorf("Padded decodes %q as %q", text, b)
		}
	}
}

func FuzzDecodeString(f *testing.F) {
	f.Add("YQ")
	f.Add("_-\n")
	f.Add("+/8")
	f.Fuzz(func(t *testing.T, text string) {
		for name, e := range map[string]Encoding{"URL": URL, "Std": Std, "Padded": Padded} {
			b, err := e.DecodeString(text)
			if err != nil {
				continue
			}
			if got := e.EncodeToString(b); got != text || e.EncodedLen(len(b)) != len(text) {
				t.Errorf("%s: %q decodes to what is written as %q", name, text, got)
			}
			if again, err := e.DecodeString(text); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s: %q decodes to %x, then to %x (%v)", name, text, b, again, err)
			}
		}
	})
}
