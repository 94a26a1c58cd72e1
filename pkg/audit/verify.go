package audit

import (
	"bytes"
	"context"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// maxFaults is how many faults a report names.
const maxFaults = 100

// verifyBatch is how many entries Verify reads at once. Entries never change,
// so many short reads see what one long one would, and the engine need not
// keep an old snapshot all the while.
const verifyBatch = 500

// Verify reads the chains of an organisation, up to where they end when it is
// called, and reports what does not fit: entries that were changed, removed,
// moved or added behind the service's back. It reads every entry.
//
// An error is one of the store or the context; faults are in the report.
func (l *Log) Verify(ctx context.Context, parent string) (*auditv1.VerifyAuditChainResponse, error) {
	v := &verifier{log: l, parent: parent, report: &auditv1.VerifyAuditChainResponse{}}
	for chain := range uint32(maxChains) {
		if err := v.chain(ctx, chain); err != nil {
			return nil, err
		}
	}
	v.report.Intact = !v.faulty
	return v.report, nil
}

// verifier is one run of Verify.
type verifier struct {
	log    *Log
	parent string
	report *auditv1.VerifyAuditChainResponse
	faulty bool
	// previous is the hash that the next entry must hold; nil after one that
	// is missing or cannot be read, when there is nothing to compare with.
	previous []byte
	known    bool
}

func (v *verifier) chain(ctx context.Context, chain uint32) error {
	end, beyond, err := v.bounds(ctx, chain)
	if err != nil {
		if !unreadable(err) {
			return err
		}
		v.fault(chain, 0, auditv1.AuditFault_KIND_UNREADABLE)
		return nil
	}
	if beyond > 0 {
		v.fault(chain, beyond, auditv1.AuditFault_KIND_REORDERED)
	}
	if end.sequence == 0 {
		return nil
	}
	v.report.Heads = append(v.report.Heads, &auditv1.AuditChainHead{Chain: chain, Sequence: end.sequence, Hash: end.hash})
	v.previous, v.known = nil, true
	for next := uint64(1); next <= end.sequence; next += verifyBatch {
		n := min(verifyBatch, end.sequence-next+1)
		if err := v.batch(ctx, chain, next, n); err != nil {
			return err
		}
	}
	if v.known && !bytes.Equal(v.previous, end.hash) {
		v.fault(chain, end.sequence, auditv1.AuditFault_KIND_CHANGED)
	}
	return nil
}

// bounds returns the head of a chain and the sequence of an entry beyond it,
// 0 when there is none.
func (v *verifier) bounds(ctx context.Context, chain uint32) (end head, beyond uint64, err error) {
	key, err := headKey(v.parent, chain)
	if err != nil {
		return head{}, 0, err
	}
	err = v.log.cfg.Store.View(ctx, func(r kv.Reader) error {
		row, err := r.Get(tableHeads, key)
		if err != nil {
			return err
		}
		if end, err = parseHead(row); err != nil {
			return err
		}
		beyond = 0
		for rec, err := range v.log.entries.Scan(r, kv.Query{
			Prefix: kv.Key{kv.String(v.parent), kv.Uint64(uint64(chain))},
			From:   kv.Key{kv.Uint64(end.sequence + 1)}, Limit: 1,
		}) {
			if err != nil {
				return err
			}
			// Where it is, not where it says that it is.
			if beyond, err = sequenceAt(rec.Position); err != nil {
				return err
			}
		}
		return nil
	})
	return end, beyond, err
}

// sequenceAt reads the key of an entry.
func sequenceAt(raw []byte) (uint64, error) {
	key, err := kv.DecodeKey(raw)
	if err != nil || len(key) != len(entryKey("", 0, 0)) {
		return 0, corrupt("a malformed key: %w", err)
	}
	sequence, _ := key[2].Value().(uint64)
	return sequence, nil
}

func (v *verifier) batch(ctx context.Context, chain uint32, first, n uint64) error {
	var records []kv.Record[*auditv1.AuditEntry]
	var faults []error
	err := v.log.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		records, faults, err = v.read(r, chain, first, n)
		return err
	})
	if err != nil {
		return err
	}
	for i, rec := range records {
		v.entry(chain, first+uint64(i), rec.Value, faults[i])
	}
	return nil
}

// read returns the entries, or the reason why one cannot be read.
func (v *verifier) read(r kv.Reader, chain uint32, first, n uint64) ([]kv.Record[*auditv1.AuditEntry], []error, error) {
	keys := make([]kv.Key, n)
	for i := range keys {
		keys[i] = entryKey(v.parent, chain, first+uint64(i))
	}
	faults := make([]error, n)
	records, err := v.log.entries.GetMany(r, keys)
	if err == nil || !unreadable(err) {
		return records, faults, err
	}
	// One of them cannot be read: find out which.
	records = make([]kv.Record[*auditv1.AuditEntry], n)
	for i, key := range keys {
		if records[i], _, faults[i] = v.log.entries.Find(r, key); faults[i] != nil && !unreadable(faults[i]) {
			return nil, nil, faults[i]
		}
	}
	return records, faults, nil
}

// unreadable reports whether an error is about stored bytes and not about the
// engine or the caller.
func unreadable(err error) bool {
	return errs.Is(err, errs.Internal) || errs.ReasonOf(err) == "STORE_UNREADABLE"
}

func (v *verifier) entry(chain uint32, sequence uint64, e *auditv1.AuditEntry, err error) {
	switch {
	case err != nil:
		v.fault(chain, sequence, auditv1.AuditFault_KIND_UNREADABLE)
		v.known = false
		return
	case e == nil:
		v.fault(chain, sequence, auditv1.AuditFault_KIND_REMOVED)
		v.known = false
		return
	}
	v.report.EntriesChecked++
	hash := hashOf(e)
	inPlace := e.GetChain() == chain && e.GetSequence() == sequence && e.GetName() == entryName(v.parent, chain, sequence)
	switch {
	case !bytes.Equal(hash, e.GetHash()):
		v.fault(chain, sequence, auditv1.AuditFault_KIND_CHANGED)
	case !inPlace, v.known && !bytes.Equal(e.GetPreviousHash(), v.previous):
		v.fault(chain, sequence, auditv1.AuditFault_KIND_REORDERED)
	}
	// The next entry is judged by what this one claims to be, so that one
	// edit is one fault and not one for all that follow.
	v.previous, v.known = e.GetHash(), true
}

func (v *verifier) fault(chain uint32, sequence uint64, kind auditv1.AuditFault_Kind) {
	v.faulty = true
	if len(v.report.Faults) < maxFaults {
		v.report.Faults = append(v.report.Faults, &auditv1.AuditFault{Chain: chain, Sequence: sequence, Kind: kind})
	}
}
