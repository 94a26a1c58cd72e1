package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// codec is how messages are read and written: ProtoJSON with lowerCamelCase
// names and 64-bit integers in quotes, as the OpenAPI document says.
//
// Fields at their default are left out, lists too: a client that knows the
// schema reads an absent field as its default anyway, pages of resources are
// half the size, and "absent" is also what an older server's answer looks like,
// so clients have to handle it in any case.
type codec struct{ runtime.JSONPb }

// Marshal writes a message in one line. protojson puts spaces in at random, so
// that nobody compares its bytes; without them the same message has the same
// bytes, which caches and compressors like.
func (c *codec) Marshal(v any) ([]byte, error) {
	text, err := c.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	return compact(text)
}

func compact(text []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(text))
	if err := json.Compact(&out, text); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// NewDecoder returns a decoder that takes all of r as one value. The library's
// own stops after the first value and lets pass whatever follows it.
func (c *codec) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return io.EOF // no body, which a route may allow
		}
		if m := messageIn(v); m != nil {
			return protojson.Unmarshal(text, m)
		}
		return c.JSONPb.Unmarshal(text, v)
	})
}

// messageIn returns the message that v is, or a new one that it then points
// to: the generated code passes the address of a field of message type.
func messageIn(v any) proto.Message {
	if m, ok := v.(proto.Message); ok {
		return m
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Pointer {
		return nil
	}
	if p.Elem().IsNil() {
		p.Elem().Set(reflect.New(p.Elem().Type().Elem()))
	}
	m, _ := p.Elem().Interface().(proto.Message)
	return m
}
