package datamask

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// hidden stands for what a mask takes away. It has one length, so that none
// shows.
const hidden = "***"

// Cover returns what the mask leaves of a text. The key is for MASK_HASH;
// without one it leaves what MASK_COVER does. What does not have the form that
// a mask is for is covered whole.
func Cover(mask optionsv1.Mask, key []byte, text string) string {
	switch mask {
	case optionsv1.Mask_MASK_LAST_FOUR:
		if runes := []rune(text); len(runes) >= 8 {
			return hidden + string(runes[len(runes)-4:])
		}
	case optionsv1.Mask_MASK_FIRST_LETTER:
		if _, size := utf8.DecodeRuneInString(text); size < len(text) {
			return text[:size] + hidden
		}
	case optionsv1.Mask_MASK_DOMAIN:
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			return hidden + text[at:]
		}
	case optionsv1.Mask_MASK_YEAR:
		if isDate(text) {
			return text[:4]
		}
	case optionsv1.Mask_MASK_HASH:
		if len(key) > 0 {
			return "#" + digest(key, text)
		}
	}
	return hidden
}

// isDate reports whether the text begins as a date of ISO 8601 does.
func isDate(text string) bool {
	if len(text) < len(time.DateOnly) {
		return false
	}
	_, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)])
	return err == nil
}

// digestBytes is how much of a hash is shown: enough that two values of an
// organisation never share one.
const digestBytes = 15

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func digest(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return strings.ToLower(encoding.EncodeToString(mac.Sum(nil)[:digestBytes]))
}

// maskField leaves of a set field what the mask does.
func maskField(m protoreflect.Message, fd protoreflect.FieldDescriptor, mask optionsv1.Mask, key []byte) {
	cover := func(v protoreflect.Value) protoreflect.Value {
		return protoreflect.ValueOfString(Cover(mask, key, v.String()))
	}
	text := fd.Kind() == protoreflect.StringKind
	switch {
	case fd.IsMap() && fd.MapValue().Kind() == protoreflect.StringKind:
		values := m.Mutable(fd).Map()
		values.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			values.Set(k, cover(v))
			return true
		})
	case fd.IsList() && text:
		values := m.Mutable(fd).List()
		for i := range values.Len() {
			values.Set(i, cover(values.Get(i)))
		}
	case text && !fd.IsMap():
		m.Set(fd, cover(m.Get(fd)))
	case mask == optionsv1.Mask_MASK_YEAR && isTime(fd):
		toYear(m.Mutable(fd).Message())
	default:
		m.Clear(fd)
	}
}

func isTime(fd protoreflect.FieldDescriptor) bool {
	return !fd.IsList() && !fd.IsMap() && fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Timestamp"
}

// toYear sets a Timestamp to the first second of its year, in UTC.
func toYear(m protoreflect.Message) {
	seconds, nanos := m.Descriptor().Fields().ByName("seconds"), m.Descriptor().Fields().ByName("nanos")
	year := time.Unix(m.Get(seconds).Int(), 0).UTC().Year()
	m.Set(seconds, protoreflect.ValueOfInt64(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix()))
	m.Clear(nanos)
}
