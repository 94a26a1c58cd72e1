package conf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// file reads the YAML text into the sections. Anchors, aliases, merge keys and
// tags are refused: a configuration is read by people under stress.
func (l *loader) file(name string, text []byte) {
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		l.fault(name+yamlPosition(err), "", yamlMessage(err))
		return
	}
	for i, doc := range parsed.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		if i > 0 {
			l.fault(at(name, doc.Body), "", "a configuration file holds one YAML document")
			return
		}
		l.sectionsOf(name, doc.Body)
	}
}

func (l *loader) sectionsOf(name string, body ast.Node) {
	entries, ok := mapping(body)
	if !ok {
		l.fault(at(name, body), "", "want sections, as in \"process:\"")
		return
	}
	for _, e := range entries {
		section := keyOf(e)
		if _, known := l.parents[section]; !known || strings.Contains(section, ".") {
			l.fault(at(name, e.Key), section, fmt.Sprintf("unknown section%s; this program has: %s",
				didYouMean(nearest(section, strings.Split(sectionNames(l.sections), ", "))), sectionNames(l.sections)))
			continue
		}
		l.branch(name, section, e.Value)
	}
}

// branch reads a mapping whose keys are fields or further branches.
func (l *loader) branch(name, path string, n ast.Node) {
	if n == nil || n.Type() == ast.NullType {
		return // "permission:" with nothing under it keeps the defaults
	}
	entries, ok := mapping(n)
	if !ok {
		l.fault(at(name, n), path, "want keys under it, not a value")
		return
	}
	for _, e := range entries {
		child := path + "." + keyOf(e)
		f := l.byPath[child]
		_, isBranch := l.parents[child]
		switch {
		case f != nil:
			l.leafOf(name, f, e)
		case isBranch:
			l.branch(name, child, e.Value)
		default:
			l.fault(at(name, e.Key), child, "unknown key"+l.nearestPath(child))
		}
	}
}

func (l *loader) leafOf(name string, f *field, e *ast.MappingValueNode) {
	where := at(name, e.Key)
	l.origin[f.path] = where
	if e.Value == nil || e.Value.Type() == ast.NullType {
		return
	}
	if !isMap(f.value.Type()) {
		l.decode(name, f.path, e.Value, f.value)
		return
	}
	entries, ok := mapping(e.Value)
	if !ok {
		l.fault(where, f.path, "want entries under it, as in \"name: value\"")
		return
	}
	for _, entry := range entries {
		key := keyOf(entry)
		text, ok := scalar(entry.Value)
		if !ok {
			l.fault(at(name, entry.Key), f.path+"."+key, "want one value")
			continue
		}
		l.origin[f.path+"."+key] = at(name, entry.Key)
		l.putEntry(f, key, text)
	}
}

// decode reads a value that is no map: a scalar, a list, an object of a list.
func (l *loader) decode(name, path string, n ast.Node, v reflect.Value) {
	where := at(name, n)
	if text, ok := scalar(n); ok {
		if problem := setText(v, text); problem != "" {
			l.fault(where, path, problem)
		}
		return
	}
	list, isList := n.(*ast.SequenceNode)
	entries, isMapping := mapping(n)
	switch {
	case isList && v.Kind() == reflect.Slice && !isText(v.Type()):
		out := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
		for i, item := range list.Values {
			l.decode(name, fmt.Sprintf("%s[%d]", path, i), item, out.Index(i))
		}
		v.Set(out)
	case isMapping && isStruct(v.Type()):
		l.object(name, path, entries, v)
	default:
		l.fault(where, path, "want "+wanted(v.Type()))
	}
}

// object reads one struct of a list. Its keys are checked like all others.
func (l *loader) object(name, path string, entries []*ast.MappingValueNode, v reflect.Value) {
	for _, e := range entries {
		key, known, found := keyOf(e), []string{}, false
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			known = append(known, tag)
			if tag != "" && tag == key {
				l.decode(name, path+"."+key, e.Value, v.Field(i))
				found = true
			}
		}
		if !found {
			l.fault(at(name, e.Key), path+"."+key, "unknown key"+didYouMean(nearest(key, known)))
		}
	}
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// scalar returns the text of a plain value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func keyOf(e *ast.MappingValueNode) string {
	if s, ok := e.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return e.Key.GetToken().Value
}

func at(file string, n ast.Node) string {
	return fmt.Sprintf("%s:%d", file, n.GetToken().Position.Line)
}

func yamlPosition(err error) string {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return fmt.Sprintf(":%d", e.GetToken().Position.Line)
	}
	return ""
}

// yamlMessage leaves out the excerpt of the file, which may hold secrets.
func yamlMessage(err error) string {
	if e, ok := errors.AsType[yaml.Error](err); ok {
		return e.GetMessage()
	}
	return "is not YAML"
}
