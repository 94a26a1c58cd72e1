package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// secretMode says how a value is printed.
type secretMode uint8

const (
	secretNo secretMode = iota
	secretAll
	secretURL
)

// field is one key: a leaf of a section's structs.
type field struct {
	path     string
	value    reflect.Value // settable
	doc      string
	secret   secretMode
	enum     []string
	min, max string
}

// checked is a Checker and the path its keys are under.
type checked struct {
	path    string
	checker Checker
}

// schema is what sections declare.
type schema struct {
	sections []Section
	fields   []*field
	byPath   map[string]*field
	parents  map[string]string // paths of structs, with their doc
	checkers []checked
}

// newSchema reads the sections' structs. Its errors are defects of the
// program, not of its configuration.
func newSchema(sections []Section) (*schema, error) {
	s := &schema{sections: sections, byPath: map[string]*field{}, parents: map[string]string{}}
	for _, section := range sections {
		if section.Name == "" {
			return nil, fmt.Errorf("conf: a section has no name")
		}
		s.parents[section.Name] = ""
		for _, value := range section.Values {
			if value == nil {
				continue
			}
			v := reflect.ValueOf(value)
			if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
				return nil, fmt.Errorf("conf: section %s: %T is not a pointer to a struct", section.Name, value)
			}
			if err := s.walk(section.Name, v.Elem()); err != nil {
				return nil, err
			}
		}
	}
	return s, s.ambiguous()
}

func (s *schema) walk(path string, v reflect.Value) error {
	if c, ok := v.Addr().Interface().(Checker); ok {
		s.checkers = append(s.checkers, checked{path, c})
	}
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if !sf.IsExported() {
			continue
		}
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		var err error
		switch {
		case option == "inline" && sf.Type.Kind() == reflect.Struct:
			err = s.walk(path, v.Field(i))
		case name == "" || name == "-":
			err = fmt.Errorf("conf: %s: field %s has no yaml tag", path, sf.Name)
		case isStruct(sf.Type):
			s.parents[path+"."+name] = sf.Tag.Get("doc")
			err = s.walk(path+"."+name, v.Field(i))
		default:
			err = s.leaf(path+"."+name, sf, v.Field(i))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *schema) leaf(path string, sf reflect.StructField, v reflect.Value) error {
	f := &field{path: path, value: v, doc: sf.Tag.Get("doc"), min: sf.Tag.Get("min"), max: sf.Tag.Get("max")}
	switch mode := sf.Tag.Get("secret"); mode {
	case "":
	case "true":
		f.secret = secretAll
	case "url":
		f.secret = secretURL
	default:
		return fmt.Errorf("conf: %s: secret tag %q is neither true nor url", path, mode)
	}
	if e := sf.Tag.Get("enum"); e != "" {
		f.enum = strings.Split(e, ",")
	}
	if f.doc == "" {
		return fmt.Errorf("conf: %s has no doc tag", path)
	}
	if typeName(v.Type()) == "" {
		return fmt.Errorf("conf: %s has type %s, which cannot be configured", path, v.Type())
	}
	if s.byPath[path] != nil {
		return fmt.Errorf("conf: %s is declared twice", path)
	}
	s.fields = append(s.fields, f)
	s.byPath[path] = f
	return nil
}

// ambiguous finds two keys that one environment variable or flag would mean.
func (s *schema) ambiguous() error {
	seen := map[string]string{}
	for _, f := range s.fields {
		for _, name := range []string{envName(f.path), "--" + flagName(f.path), "--" + f.path} {
			if other, ok := seen[name]; ok && other != f.path {
				return fmt.Errorf("conf: %s means both %s and %s", name, other, f.path)
			}
			seen[name] = f.path
		}
	}
	return nil
}

// byFlag finds the key of a flag or path. For an entry of a map, entry is the
// map's key.
func (s *schema) byFlag(name string) (f *field, entry string, ok bool) {
	for _, path := range []string{name, processSection + "." + name} {
		if f, ok := s.byPath[path]; ok {
			return f, "", true
		}
		for _, f := range s.fields {
			if entry, ok := strings.CutPrefix(path, f.path+"."); ok && isMap(f.value.Type()) && entry != "" {
				return f, entry, true
			}
		}
	}
	return nil, "", false
}

// byEnv finds the key of an environment variable.
func (s *schema) byEnv(name string) (f *field, entry string, ok bool) {
	short := EnvPrefix + strings.TrimPrefix(strings.TrimPrefix(name, EnvPrefix), "PROCESS_")
	for _, f := range s.fields {
		if envName(f.path) == short {
			return f, "", true
		}
	}
	for _, f := range s.fields {
		if entry, ok := strings.CutPrefix(short, envName(f.path)+"_"); ok && isMap(f.value.Type()) && entry != "" {
			return f, strings.ToLower(entry), true
		}
	}
	return nil, "", false
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	stringMap    = reflect.TypeFor[map[string]string]()
)

func isMap(t reflect.Type) bool { return t == stringMap }

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isStruct reports a struct that is a branch of the tree, not a value.
func isStruct(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// typeName says how values of t are written, or "" when t cannot be.
func typeName(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == sizeType:
		return "size"
	case isText(t):
		return "text"
	case isMap(t):
		return "map"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Slice:
		if isStruct(t.Elem()) {
			return "list of objects"
		}
		if name := typeName(t.Elem()); name != "" {
			return "list of " + name + "s"
		}
	}
	return ""
}
