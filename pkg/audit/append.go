package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/shard"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

const tableHeads = "audit_heads" // (parent, chain) -> head

// head is the end of a chain. It is stored as its format, the sequence in 8
// bytes, big endian, and the hash.
type head struct {
	sequence uint64
	hash     []byte
}

const headFormat = 1

// Append adds e to a chain of the organisation that its resource belongs to,
// in the transaction of the act, and sets its name, chain, sequence and
// hashes. The caller sets the rest, at least time, action and outcome.
func (l *Log) Append(tx kv.Tx, e *auditv1.AuditEntry) error {
	return l.append(tx, ParentOf(e.GetResource()), e)
}

func (l *Log) append(tx kv.Tx, parent string, e *auditv1.AuditEntry) error {
	if !e.GetTime().IsValid() || e.GetAction() == "" || e.GetOutcome() == auditv1.AuditEntry_OUTCOME_UNSPECIFIED {
		return internal("an entry needs a time, an action and an outcome; this one is of %q", e.GetAction())
	}
	e.Chain = shard.Of(e.GetResource(), uint32(l.cfg.Chains))
	key, err := headKey(parent, e.GetChain())
	if err != nil {
		return err
	}
	row, err := tx.Get(tableHeads, key)
	if err != nil {
		return err
	}
	last, err := parseHead(row)
	if err != nil {
		return err
	}
	e.Sequence, e.PreviousHash = last.sequence+1, last.hash
	e.Name = entryName(parent, e.GetChain(), e.GetSequence())
	e.Hash = hashOf(e)
	if _, err := l.entries.Create(tx, e); err != nil {
		return err
	}
	return tx.Put(tableHeads, key, head{e.GetSequence(), e.GetHash()}.encode())
}

func entryName(parent string, chain uint32, sequence uint64) string {
	return fmt.Sprintf("%s/auditEntries/%d-%d", parent, chain, sequence)
}

func headKey(parent string, chain uint32) ([]byte, error) {
	return kv.Key{kv.String(parent), kv.Uint64(uint64(chain))}.Encode(nil, nil, "")
}

func (h head) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{headFormat}, h.sequence)
	return append(b, h.hash...)
}

// parseHead reads a head row; a missing one is the head of an empty chain.
func parseHead(row []byte) (head, error) {
	const prefix = 1 + 8
	switch {
	case row == nil:
		return head{}, nil
	case len(row) != prefix+sha256.Size || row[0] != headFormat:
		return head{}, corrupt("a chain head of unknown format")
	}
	return head{binary.BigEndian.Uint64(row[1:]), row[prefix:]}, nil
}
