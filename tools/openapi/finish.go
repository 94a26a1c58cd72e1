package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// problemRef names the error response that the base document defines.
const problemRef = "#/components/responses/Problem"

// finish turns the generated document into the one that is served: base is laid
// over it, with the routes that the gateway serves by hand (streams); errors
// are problem details, and path parameters have the names of the collections
// they select from.
func finish(doc *document, base document) error {
	doc.Info, doc.Servers, doc.Security = base.Info, base.Servers, base.Security
	renamed := paths{}
	for path, item := range base.Paths {
		renamed[path] = maps.Clone(item)
	}
	for path, item := range doc.Paths {
		newPath, names := nameParameters(path)
		for method, value := range item {
			op, ok := value.(object)
			if !ok {
				return fmt.Errorf("%s: %s is no operation", path, method)
			}
			renameParameters(op, names)
			finishResponses(op)
			if renamed[newPath] == nil {
				renamed[newPath] = object{}
			}
			if renamed[newPath][method] != nil {
				return fmt.Errorf("two operations are %s %s", method, newPath)
			}
			renamed[newPath][method] = op
		}
	}
	doc.Paths = renamed
	mergeComponents(doc, base)
	return finishStreams(doc, base.Streams)
}

// finishStreams gives operations that stream the media types they are served
// in: a message per line, or per server-sent event. Each id must be there.
func finishStreams(doc *document, ids []string) error {
	left := slices.Clone(ids)
	for _, item := range doc.Paths {
		for _, value := range item {
			op, _ := value.(object)
			at := slices.Index(left, fmt.Sprint(op["operationId"]))
			if at < 0 {
				continue
			}
			left = slices.Delete(left, at, at+1)
			responses, _ := op["responses"].(object)
			ok, _ := responses["200"].(object)
			content, _ := ok["content"].(object)
			one := content["application/json"]
			if one == nil {
				return fmt.Errorf("%s answers nothing that could be streamed", op["operationId"])
			}
			ok["content"] = object{"application/x-ndjson": one, "text/event-stream": one}
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("no operation has the id %s of a stream", strings.Join(left, ", "))
	}
	return nil
}

// mergeComponents adds the components of base, which win over generated ones of
// the same name, and drops the error schema that nothing refers to any more.
func mergeComponents(doc *document, base document) {
	if doc.Components == nil {
		doc.Components = components{}
	}
	for kind, byName := range base.Components {
		if doc.Components[kind] == nil {
			doc.Components[kind] = object{}
		}
		maps.Copy(doc.Components[kind], byName)
	}
	const status = "google.rpc.Status"
	if !refersTo(doc.Paths, status) && !refersTo(doc.Components, status) {
		delete(doc.Components["schemas"], status)
	}
}

// nameParameters gives each path parameter the singular of the collection
// before it: /v1/roles/{role.name} becomes /v1/roles/{role}. It returns the new
// path and the new name of each old one.
func nameParameters(path string) (string, map[string]string) {
	names, taken := map[string]string{}, map[string]bool{}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		old, suffix, ok := strings.Cut(segment, "}")
		if !ok || !strings.HasPrefix(old, "{") || i == 0 {
			continue
		}
		old = old[1:]
		name := singular(segments[i-1])
		if name == "" || taken[name] {
			continue
		}
		names[old], taken[name] = name, true
		segments[i] = "{" + name + "}" + suffix
	}
	return strings.Join(segments, "/"), names
}

// version matches the path segment of an API version.
var version = regexp.MustCompile(`^v[0-9]`)

// singular returns the singular of a collection's name, the name itself if it
// looks like none ("staff"), and "" for a segment that is no collection.
func singular(collection string) string {
	switch {
	case version.MatchString(collection), strings.ContainsAny(collection, "{}:"):
		return ""
	case strings.HasSuffix(collection, "ies"):
		return strings.TrimSuffix(collection, "ies") + "y"
	case strings.HasSuffix(collection, "sses"):
		return strings.TrimSuffix(collection, "es")
	}
	return strings.TrimSuffix(collection, "s")
}

func renameParameters(op object, names map[string]string) {
	params, _ := op["parameters"].([]any)
	for _, value := range params {
		param, _ := value.(object)
		old, _ := param["name"].(string)
		if name, ok := names[old]; ok && param["in"] == "path" {
			param["name"] = name
			param["description"] = "Id of the " + name + "."
		}
	}
}

// finishResponses replaces the generated error, a google.rpc.Status in JSON,
// by the problem details that the gateway answers with, and an empty message by
// an empty object that says so in few words.
func finishResponses(op object) {
	responses, _ := op["responses"].(object)
	for code, value := range responses {
		response, _ := value.(object)
		text, _ := response["description"].(string)
		switch {
		case code == "default":
			responses[code] = object{"$ref": problemRef}
		case strings.HasPrefix(text, "A generic empty message"):
			response["description"] = "Done."
		}
	}
}

// refersTo reports whether value holds a reference to the named schema.
func refersTo(value any, schema string) bool {
	switch value := value.(type) {
	case string:
		return value == "#/components/schemas/"+schema
	case []any:
		for _, element := range value {
			if refersTo(element, schema) {
				return true
			}
		}
	case object:
		for _, element := range value {
			if refersTo(element, schema) {
				return true
			}
		}
	case map[string]object:
		for _, element := range value {
			if refersTo(element, schema) {
				return true
			}
		}
	}
	return false
}
