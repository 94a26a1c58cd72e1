package gateway

import (
	"net/http"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
)

// fromHeaders puts what HTTP says in headers into the request message.
func (q *request) fromHeaders(b *binding, m protoreflect.Message) error {
	if err := q.ifMatch(b, m); err != nil {
		return err
	}
	if err := q.idempotencyKey(b, m); err != nil {
		return err
	}
	if q.http.Header.Get("If-None-Match") != "" && b.verb != http.MethodGet {
		return errs.New(errs.Invalid, problem.ConditionUnsupported, "If-None-Match is for GET; use If-Match here")
	}
	q.readMask(b, m)
	return nil
}

// ifMatch sets the request's etag (RFC 9110 section 13.1.1). "*" only says
// that the resource exists, which every route with an etag wants anyway.
func (q *request) ifMatch(b *binding, m protoreflect.Message) error {
	values := q.http.Header.Values("If-Match")
	switch {
	case len(values) == 0:
		return nil
	case b.etag == nil:
		return errs.New(errs.Invalid, problem.ConditionUnsupported, "this operation takes no If-Match")
	case len(values) == 1 && strings.TrimSpace(values[0]) == "*":
		return nil
	}
	tags, ok := entityTags(strings.Join(values, ","))
	if !ok || len(tags) != 1 {
		return invalidHeader("If-Match", `send one ETag as it came, with its quotes, or *`)
	}
	if tags[0].weak {
		// RFC 9110: a weak tag never matches here.
		return errs.New(errs.Conflict, problem.EtagMismatch, "a weak ETag matches nothing; read the resource again")
	}
	for _, field := range b.etag[:len(b.etag)-1] {
		m = m.Mutable(field).Message()
	}
	field := b.etag[len(b.etag)-1]
	if sent := m.Get(field).String(); sent != "" && sent != tags[0].value {
		return errs.New(errs.Invalid, problem.EtagAmbiguous, "If-Match and the request's etag differ; send one of them")
	}
	m.Set(field, protoreflect.ValueOfString(tags[0].value))
	return nil
}

// idempotencyKey sets the request's request_id.
func (q *request) idempotencyKey(b *binding, m protoreflect.Message) error {
	if len(q.http.Header.Values("Idempotency-Key")) == 0 || b.verb == http.MethodGet {
		return nil // reading twice is harmless
	}
	if b.requestID == nil {
		// Passing over it would let the client believe that it may retry.
		return errs.New(errs.Invalid, problem.IdempotencyUnsupported, "this operation takes no Idempotency-Key")
	}
	key, err := q.readIdempotencyKey()
	if err != nil {
		return err
	}
	if sent := m.Get(b.requestID).String(); sent != "" && sent != key {
		return errs.New(errs.Invalid, problem.IdempotencyAmbiguous, "Idempotency-Key and requestId differ; send one of them")
	}
	m.Set(b.requestID, protoreflect.ValueOfString(key))
	return nil
}

// readIdempotencyKey returns the key; "" without the header. It may stand in
// quotes, as the header's draft standard has it, or without.
func (q *request) readIdempotencyKey() (string, error) {
	values := q.http.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := strings.TrimSpace(values[0])
	if tags, ok := entityTags(key); ok && len(tags) == 1 && !tags[0].weak {
		key = tags[0].value
	}
	if len(values) != 1 || key == "" || !isPrintable(key) || strings.ContainsAny(key, `"`) {
		return "", invalidHeader("Idempotency-Key", "send one key of printable characters, as in a UUID")
	}
	return key, nil
}

// readMask puts a mask that the client wrote into the proto's spelling, for
// the transcoder reads only that. Out of a mask that was inferred from the body
// it takes what callers cannot set, so that a client may change a resource it
// has read and send all of it back (AIP-134: output-only fields are passed
// over).
func (q *request) readMask(b *binding, m protoreflect.Message) {
	if b.mask == nil {
		return
	}
	mask, ok := m.Get(b.mask).Message().Interface().(*fieldmaskpb.FieldMask)
	if !ok || mask == nil {
		return
	}
	if q.query.Has("updateMask") || q.query.Has("update_mask") {
		for i, path := range mask.Paths {
			mask.Paths[i] = snake(path)
		}
		return
	}
	mask.Paths = slices.DeleteFunc(mask.Paths, func(path string) bool {
		top, _, _ := strings.Cut(path, ".")
		return !slices.Contains(b.inferable, top)
	})
}

// entityTag is one ETag of a header (RFC 9110 section 8.8.3).
type entityTag struct {
	value string
	weak  bool
}

// entityTags reads a list of ETags, false when it is none.
func entityTags(header string) (tags []entityTag, ok bool) {
	rest := strings.TrimSpace(header)
	for rest != "" {
		var tag entityTag
		rest, tag.weak = strings.CutPrefix(rest, "W/")
		rest, ok = strings.CutPrefix(rest, `"`)
		if !ok {
			return nil, false
		}
		if tag.value, rest, ok = strings.Cut(rest, `"`); !ok || !isTag(tag.value) {
			return nil, false
		}
		tags = append(tags, tag)
		rest = strings.TrimSpace(rest)
		next, more := strings.CutPrefix(rest, ",")
		if rest != "" && !more {
			return nil, false
		}
		rest = strings.TrimSpace(next)
	}
	return tags, len(tags) > 0
}

// isTag reports whether a value can be an ETag as it is.
func isTag(value string) bool {
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c == '"' || c == 0x7f {
			return false
		}
	}
	return value != ""
}

// answerETag sets the ETag of an answer that has an etag, and answers a GET
// with 304 when the client has it already. It reports whether it did.
//
// The tag is the stored revision's: it is the same for every representation
// of it, compressed or not. That is looser than a strong tag should be, and
// harmless, because ranges of these answers are not served.
func (q *request) answerETag(w http.ResponseWriter, answer proto.Message) bool {
	m := answer.ProtoReflect()
	field := stringField(m.Descriptor().Fields(), "etag")
	if field == nil || !isTag(m.Get(field).String()) {
		return false
	}
	etag := m.Get(field).String()
	w.Header().Set("ETag", `"`+etag+`"`)
	if q.binding == nil || q.binding.verb != http.MethodGet {
		return false
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	if !noneMatch(q.http.Header.Values("If-None-Match"), etag) {
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	return false
}

// noneMatch is RFC 9110 section 13.1.2, with its weak comparison.
func noneMatch(values []string, etag string) bool {
	header := strings.TrimSpace(strings.Join(values, ","))
	if header == "*" {
		return false
	}
	tags, _ := entityTags(header)
	return !slices.ContainsFunc(tags, func(tag entityTag) bool { return tag.value == etag })
}
