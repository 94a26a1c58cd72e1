package change

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// requestID is the field of a request that Do looks for (AIP-155).
const requestID = "request_id"

// maxRequestID bounds an id, which stands in a key.
const maxRequestID = 64

const (
	tableAnswers  = "change_answers"  // (actor, action, request id) -> answer
	tableExpiries = "change_expiries" // (time, actor, action, request id) -> empty
)

// question is a request that may have been answered before.
type question struct {
	asked       bool // the request has an id
	key         kv.Key
	fingerprint [sha256.Size]byte
	expires     time.Time
}

// question reads the request id and sets it in the entry. A request without
// one, or whose message has no such field, is no question.
func (j *Journal) question(entry *auditv1.AuditEntry, req proto.Message) (question, error) {
	m := req.ProtoReflect()
	fd := m.Descriptor().Fields().ByName(requestID)
	if fd == nil || fd.Kind() != protoreflect.StringKind || fd.IsList() || m.Get(fd).String() == "" {
		return question{}, nil
	}
	id := m.Get(fd).String()
	if err := checkID(id, entry.GetActor() == ""); err != nil {
		return question{}, err
	}
	entry.RequestId = id
	body := proto.Clone(req)
	body.ProtoReflect().Clear(fd)
	j.marks.ClearSecrets(body)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
	if err != nil {
		return question{}, internal("encode a request: %w", err)
	}
	return question{
		asked:       true,
		key:         kv.Key{kv.String(entry.GetActor()), kv.String(entry.GetAction()), kv.String(id)},
		fingerprint: sha256.Sum256(b),
	}, nil
}

// checkID refuses ids that cannot be kept. Callers without an account share
// one space of ids, where an id that is easily guessed would show one of them
// the answer of another.
func checkID(id string, anonymous bool) error {
	const reason = "REQUEST_ID_INVALID"
	if len(id) > maxRequestID {
		return errs.InvalidField(requestID, reason, "send at most 64 characters, best a UUID of version 4")
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return errs.InvalidField(requestID, reason, "send printable ASCII characters without spaces, best a UUID of version 4")
		}
	}
	if anonymous && uuid.Validate(id) != nil {
		return errs.InvalidField(requestID, reason, "send a UUID of version 4 when calling without an account")
	}
	return nil
}

// An answer is stored as its format, the expiry in Unix nanoseconds, 8 bytes
// big endian, the fingerprint of the request, and the response.
const (
	answerFormat = 1
	answerPrefix = 1 + 8 + sha256.Size
)

// answer returns the first response to the question, encoded, and whether
// there was one.
func (q question) answer(r kv.Reader, now time.Time) (response []byte, found bool, err error) {
	if !q.asked {
		return nil, false, nil
	}
	key, err := q.key.Encode(nil, nil, "")
	if err != nil {
		return nil, false, err
	}
	row, err := r.Get(tableAnswers, key)
	if err != nil || row == nil {
		return nil, false, err
	}
	expires, fingerprint, response, err := parseAnswer(row)
	if err != nil {
		return nil, false, err
	}
	if !now.Before(expires) {
		return nil, false, nil // the sweep is late
	}
	if fingerprint != q.fingerprint {
		return nil, false, errs.InvalidField(requestID, "REQUEST_ID_REUSED", "the id was used for another request; make a new one for each, and keep it for retries of the same")
	}
	return response, true, nil
}

func parseAnswer(row []byte) (expires time.Time, fingerprint [sha256.Size]byte, response []byte, err error) {
	if len(row) < answerPrefix || row[0] != answerFormat {
		return time.Time{}, fingerprint, nil, internal("an answer of unknown format")
	}
	expires = time.Unix(0, int64(binary.BigEndian.Uint64(row[1:])))
	return expires, [sha256.Size]byte(row[9:]), row[answerPrefix:], nil
}

// remember stores the response to a question, without its secrets.
func remember(j *Journal, tx kv.Tx, q question, resp proto.Message) error {
	if !q.asked {
		return nil
	}
	kept := proto.Clone(resp)
	j.marks.ClearSecrets(kept)
	row := binary.BigEndian.AppendUint64([]byte{answerFormat}, uint64(q.expires.UnixNano()))
	row = append(row, q.fingerprint[:]...)
	row, err := proto.MarshalOptions{}.MarshalAppend(row, kept)
	if err != nil {
		return internal("encode a response: %w", err)
	}
	key, err := q.key.Encode(nil, nil, "")
	if err != nil {
		return err
	}
	if err := tx.Put(tableAnswers, key, row); err != nil {
		return err
	}
	expiry, err := kv.Key{kv.Time(q.expires)}.With(q.key...).Encode(nil, nil, "")
	if err != nil {
		return err
	}
	return tx.Put(tableExpiries, expiry, []byte{})
}

// decode returns a stored response.
func decode[R proto.Message](response []byte) (R, error) {
	var none R
	resp, ok := none.ProtoReflect().New().Interface().(R)
	if !ok {
		return none, internal("cannot make a %T", none)
	}
	if err := proto.Unmarshal(response, resp); err != nil {
		return none, internal("decode a kept response: %w", err)
	}
	return resp, nil
}
