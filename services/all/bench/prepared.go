package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// The load shares its machine with the server that it measures, so its calls are
// written before the clock starts, and of the answers no more is read than what
// has to be right.

// prepared is one call, encoded, and the answers that are right.
type prepared struct {
	text []byte
	want []bool
}

// answers are the yes and no of a CheckResponse or a BatchCheckResponse, in order.
type answers []bool

// sheet is what so many callers ask, in calls of so many questions, over and over.
type sheet struct {
	size    int
	callers [][]prepared
}

// askedAbout is how often a sheet asks about each account, on average: so often
// that what one call has touched in memory is not what the next one needs.
const askedAbout = 12

// prepare returns a sheet of random questions.
func (d Dataset) prepare(callers, size int) (sheet, error) {
	s := sheet{size: size, callers: make([][]prepared, callers)}
	for i := range s.callers {
		r := rand.New(rand.NewPCG(uint64(i), rand.Uint64()))
		s.callers[i] = make([]prepared, max(askedAbout*d.users/callers/size, 1))
		for k := range s.callers[i] {
			var err error
			if s.callers[i][k], err = d.call(r, size); err != nil {
				return sheet{}, err
			}
		}
	}
	return s, nil
}

func (d Dataset) call(r *rand.Rand, size int) (p prepared, err error) {
	queries := make([]*permissionv1.CheckQuery, size)
	p.want = make([]bool, size)
	for i := range queries {
		queries[i], p.want[i] = d.question(r)
	}
	var req proto.Message = &permissionv1.BatchCheckRequest{Parent: home, Queries: queries}
	if size == 1 {
		req = &permissionv1.CheckRequest{Parent: home, Query: queries[0]}
	}
	p.text, err = proto.Marshal(req)
	return p, err
}

// check compares answers with those that are right.
func (p prepared) check(got answers) error {
	if len(got) != len(p.want) {
		return fmt.Errorf("%w: %d answers to %d questions", errWrong, len(got), len(p.want))
	}
	for i, yes := range got {
		if yes != p.want[i] {
			return fmt.Errorf("%w: question %d of %q, not %t", errWrong, i, p.text, p.want[i])
		}
	}
	return nil
}

// codec is the codec of grpc, which sends a prepared call as it is and reads
// answers.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(encodingproto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if p, ok := v.(prepared); ok {
		return mem.BufferSlice{mem.SliceBuffer(p.text)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	into, ok := v.(*answers)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	text := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer text.Free()
	return into.read(text.ReadOnlyData())
}

// The fields that are read: the results of a response, and in each whether it is
// a yes, which a no leaves out.
const (
	resultField  = 1
	allowedField = 1
)

func (a *answers) read(response []byte) error {
	*a = (*a)[:0]
	return fields(response, func(number protowire.Number, value []byte) error {
		if number != resultField {
			return nil
		}
		*a = append(*a, false)
		result, _ := protowire.ConsumeBytes(value)
		return fields(result, func(number protowire.Number, value []byte) error {
			if number == allowedField {
				yes, _ := protowire.ConsumeVarint(value)
				(*a)[len(*a)-1] = protowire.DecodeBool(yes)
			}
			return nil
		})
	})
}

// fields calls f with the fields of a message and their values, which are well
// formed.
func fields(message []byte, f func(number protowire.Number, value []byte) error) error {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return errors.Join(errWrong, protowire.ParseError(tag))
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return errors.Join(errWrong, protowire.ParseError(length))
		}
		if err := f(number, message[tag:tag+length]); err != nil {
			return err
		}
		message = message[tag+length:]
	}
	return nil
}
