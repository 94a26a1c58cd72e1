package gateway

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// resumption is how a client goes on with a stream that broke off: the id of
// an answer, sent back as Last-Event-ID, is put into a field of the request.
type resumption struct {
	// field of the request; "" when the stream cannot be resumed.
	field protoreflect.Name
	// sequenced says that ids are sequence numbers of messages; else cursors.
	sequenced bool
}

// The names that make a stream resumable, in all of the suite's protos.
const (
	cursorField   = "cursor"
	afterField    = "after_sequence"
	messageField  = "message"
	sequenceField = "sequence"
	withheldField = "withheld"
	lastField     = "last_sequence"
)

// resumptionOf reads it off the names of the fields: a cursor in request and
// answer, or after_sequence in the request and numbered messages in the answer.
func resumptionOf(m protoreflect.MethodDescriptor) resumption {
	in, out := m.Input().Fields(), m.Output().Fields()
	if stringField(in, cursorField) != nil && stringField(out, cursorField) != nil {
		return resumption{field: cursorField}
	}
	message := out.ByName(messageField)
	if in.ByName(afterField) != nil && message != nil && message.Message() != nil &&
		message.Message().Fields().ByName(sequenceField) != nil {
		return resumption{field: afterField, sequenced: true}
	}
	return resumption{}
}

// of returns the id of an answer and the name of its event: that of the member
// of its oneof, "" when it has none. Only a new message has a sequence number
// for id, and new ones that are withheld the last of theirs: that of a recalled
// one would take the client back.
func (r resumption) of(m protoreflect.Message) (id, event string) {
	fields := m.Descriptor().Fields()
	if oneofs := m.Descriptor().Oneofs(); oneofs.Len() > 0 {
		if set := m.WhichOneof(oneofs.Get(0)); set != nil {
			event = set.JSONName()
		}
	}
	switch {
	case r.field == "":
	case !r.sequenced:
		id = m.Get(fields.ByName(cursorField)).String()
	case event == messageField:
		id = number(m, messageField, sequenceField)
	case event == withheldField:
		id = number(m, withheldField, lastField)
	}
	if strings.ContainsAny(id, "\r\n\x00") {
		return "", event // would end the field
	}
	return id, event
}

// number returns a number in a message within an answer.
func number(m protoreflect.Message, member, field protoreflect.Name) string {
	within := m.Get(m.Descriptor().Fields().ByName(member)).Message()
	return strconv.FormatInt(within.Get(within.Descriptor().Fields().ByName(field)).Int(), 10)
}
