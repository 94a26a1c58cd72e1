package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

func whole() *auditv1.AuditEntry {
	return &auditv1.AuditEntry{
		Name: "organizations/acme/auditEntries/3-42", Time: &timestamppb.Timestamp{Seconds: 1772366400, Nanos: 5},
		Actor: "organizations/acme/staff/a", OnBehalfOf: "organizations/acme/customers/c", Session: "s",
		RemoteAddress: "192.0.2.1", Action: "/g.v1.S/CreateGroup", Resource: "organizations/acme/groups/g",
		Outcome: auditv1.AuditEntry_OUTCOME_DENIED, Reason: "R", ChangedFields: []string{"a", "b"},
		RequestId: "r", TraceId: "t", Chain: 3, Sequence: 42, PreviousHash: []byte{1, 2},
	}
}

// Stored hashes must verify for as long as the entries are kept.
func TestHashOf_neverChanges(t *testing.T) {
	const want = "a63f5c01194be4de490d7737e6bd6933a4d8d112b0b908a2553d1fa5590d33ba"
	if got := hex.EncodeToString(hashOf(whole())); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The hash is documented as being over the wire format.
func TestHashOf_isOverTheWireFormat(t *testing.T) {
	e := whole()
	hash := hashOf(e)
	previous := e.GetPreviousHash()
	e.PreviousHash = nil
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(hash, sum(hashDomain, previous, wire)) {
		t.Error("the hash is not that of the entry's wire format")
	}
}

// A field that is added to the entry must be added to the hash.
func TestHashOf_dependsOnEveryField(t *testing.T) {
	base := hashOf(whole())
	fields := whole().ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Name() == "hash" {
			continue
		}
		e := whole()
		if !e.ProtoReflect().Has(fd) {
			t.Errorf("the test's entry lacks %s", fd.Name())
		}
		e.ProtoReflect().Clear(fd)
		if bytes.Equal(hashOf(e), base) {
			t.Errorf("the hash does not depend on %s", fd.Name())
		}
	}
	for name, edit := range map[protoreflect.Name]func(*auditv1.AuditEntry){
		"split list":  func(e *auditv1.AuditEntry) { e.ChangedFields = []string{"ab"} },
		"moved text":  func(e *auditv1.AuditEntry) { e.RequestId, e.TraceId = "", "rt" },
		"nanoseconds": func(e *auditv1.AuditEntry) { e.Time.Nanos++ },
	} {
		e := whole()
		edit(e)
		if bytes.Equal(hashOf(e), base) {
			t.Errorf("%s: the hash is the same", name)
		}
	}
}

func sum(domain string, previous, wire []byte) []byte {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write([]byte{byte(len(previous))})
	h.Write(previous)
	h.Write(wire)
	return h.Sum(nil)
}
