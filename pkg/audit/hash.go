package audit

import (
	"crypto/sha256"

	"google.golang.org/protobuf/encoding/protowire"

	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// hashDomain keeps the hash of an entry from being that of anything else.
const hashDomain = "guildhall.audit.v1.AuditEntry\n"

// hashOf returns SHA-256 over hashDomain, the length of previous_hash as a
// varint, previous_hash, and the entry without its two hashes in protobuf's
// wire format: fields in the order of their numbers, defaults left out.
//
// It is written out here and not left to proto.Marshal, whose output may
// change with the library: a hash must come out the same in ten years, and in
// the hands of an auditor who writes the check anew.
func hashOf(e *auditv1.AuditEntry) []byte {
	b := []byte(hashDomain)
	b = protowire.AppendBytes(b, e.GetPreviousHash())
	b = appendText(b, 1, e.GetName())
	var t []byte
	t = appendNumber(t, 1, uint64(e.GetTime().GetSeconds()))
	t = appendNumber(t, 2, uint64(e.GetTime().GetNanos()))
	b = appendText(b, 2, string(t))
	b = appendText(b, 3, e.GetActor())
	b = appendText(b, 4, e.GetOnBehalfOf())
	b = appendText(b, 5, e.GetSession())
	b = appendText(b, 6, e.GetRemoteAddress())
	b = appendText(b, 7, e.GetAction())
	b = appendText(b, 8, e.GetResource())
	b = appendNumber(b, 9, uint64(e.GetOutcome()))
	b = appendText(b, 10, e.GetReason())
	for _, name := range e.GetChangedFields() {
		b = protowire.AppendTag(b, 11, protowire.BytesType)
		b = protowire.AppendString(b, name)
	}
	b = appendText(b, 12, e.GetRequestId())
	b = appendText(b, 13, e.GetTraceId())
	b = appendNumber(b, 14, uint64(e.GetChain()))
	b = appendNumber(b, 15, e.GetSequence())
	sum := sha256.Sum256(b)
	return sum[:]
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}
