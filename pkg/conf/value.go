package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setText sets v from text and returns what is wrong with it, or "". The
// problem never quotes the text, which may be a secret.
func setText(v reflect.Value, text string) (problem string) {
	t := v.Type()
	switch {
	case t == durationType:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return "must be a duration as in \"500ms\", \"5s\" or \"1h30m\""
		}
		v.SetInt(int64(d))
		return ""
	case isText(t):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			if t == sizeType {
				return err.Error()
			}
			return "is not valid"
		}
		return ""
	case t.Kind() == reflect.Slice:
		return setList(v, text)
	}
	if !setScalar(v, text) {
		return "must be " + wanted(t)
	}
	return ""
}

func setScalar(v reflect.Value, text string) bool {
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString(text)
	case k == reflect.Bool:
		if text != "true" && text != "false" {
			return false
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return false
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return false
		}
		v.SetUint(n)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return false
		}
		v.SetFloat(n)
	default:
		return false
	}
	return true
}

// setList reads "a,b". The empty text is the empty list.
func setList(v reflect.Value, text string) (problem string) {
	if isStruct(v.Type().Elem()) {
		return "is a list of objects: set it in the file"
	}
	var parts []string
	if text != "" {
		parts = strings.Split(text, ",")
	}
	out := reflect.MakeSlice(v.Type(), len(parts), len(parts))
	for i, part := range parts {
		if problem := setText(out.Index(i), strings.TrimSpace(part)); problem != "" {
			return problem
		}
	}
	v.Set(out)
	return ""
}

// putEntry sets one entry of a map. The map that the default holds is copied
// first: it may be shared.
func (l *loader) putEntry(f *field, key, text string) {
	m := make(map[string]string, f.value.Len()+1)
	for _, k := range f.value.MapKeys() {
		m[k.String()] = f.value.MapIndex(k).String()
	}
	m[key] = text
	f.value.Set(reflect.ValueOf(m).Convert(f.value.Type()))
}

// wanted says, with its article, how a value of t is written.
func wanted(t reflect.Type) string {
	if t.Kind() == reflect.Slice && isStruct(t.Elem()) {
		return "a list of objects"
	}
	switch name := typeName(t); name {
	case "bool":
		return "true or false"
	case "int":
		return "a whole number in range"
	case "float":
		return "a number"
	case "":
		return "an object"
	default:
		return "a " + name
	}
}

// outOfBounds applies the enum, min and max tags.
func (f *field) outOfBounds() string {
	if len(f.enum) > 0 && !slices.Contains(f.enum, f.value.String()) {
		return "must be one of: " + strings.Join(f.enum, ", ")
	}
	low, okLow := f.bound(f.min)
	high, okHigh := f.bound(f.max)
	n, ok := number(f.value)
	switch {
	case !ok:
		return ""
	case okLow && okHigh && (n < low || n > high):
		return fmt.Sprintf("must be between %s and %s", f.min, f.max)
	case okLow && n < low:
		return "must be at least " + f.min
	case okHigh && n > high:
		return "must be at most " + f.max
	}
	return ""
}

// bound reads a tag in the key's own notation.
func (f *field) bound(tag string) (float64, bool) {
	if tag == "" {
		return 0, false
	}
	v := reflect.New(f.value.Type()).Elem()
	if setText(v, tag) != "" {
		return 0, false
	}
	return number(v)
}

func number(v reflect.Value) (float64, bool) {
	switch {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}
