package gateway

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"guildhall.dev/proto/openapi"
)

type operation struct {
	OperationID string
	RequestBody struct{ Content map[string]any }
	Responses   map[string]struct{ Content map[string]any }
}

// TestOpenAPI_isWhatIsServed asks for every operation of the document and sees
// which RPC is called, and finds RPCs that are not in it.
func TestOpenAPI_isWhatIsServed(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal(openapi.JSON, &doc); err != nil {
		t.Fatal(err)
	}
	c := &calls{}
	h := newHandler(t, c)
	parameter := regexp.MustCompile(`\{\w+\}`)
	// Further bindings of a method have its id with a number: ids are unique.
	further := regexp.MustCompile(`_\d+$`)
	described := map[string]operation{}
	for path, item := range doc.Paths {
		for verb, op := range item {
			described[op.OperationID] = op
			var headers []string
			body := ""
			for contentType := range op.RequestBody.Content {
				body, headers = "{}", []string{"Content-Type", "", "Content-Type", contentType}
			}
			send(t, h, strings.ToUpper(verb), parameter.ReplaceAllString(path, "x1"), body, headers...)
			called, _ := c.last()
			service, method, _ := strings.Cut(called[strings.LastIndex(called, ".")+1:], "/")
			if id := service + "_" + method; id != further.ReplaceAllString(op.OperationID, "") && op.OperationID != "WellKnown_Jwks" {
				t.Errorf("%s %s calls %s, the document says %s", verb, path, id, op.OperationID)
			}
		}
	}
	for _, a := range apisOf(t) {
		for _, b := range a.bindings {
			id := string(b.method.Parent().Name()) + "_" + string(b.method.Name())
			op, ok := described[id]
			if !ok {
				t.Errorf("%s is served and not described", id)
			}
			if _, streams := op.Responses["200"].Content[string(lines)]; ok && streams != b.method.IsStreamingServer() {
				t.Errorf("%s: is a stream: %v, is described as one: %v (see x-streams in base.json)", id, !streams, streams)
			}
		}
	}
}

func apisOf(t *testing.T) map[string]*api {
	t.Helper()
	e, ok := newHandler(t, &calls{}).(*edge)
	if !ok {
		t.Fatal("the handler is no edge")
	}
	return e.apis
}
