package importer

import (
	"hash/maphash"
	"strings"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// rehearsal is what a dry run remembers of earlier batches, whose customers
// are not in the store: hashes of the external ids that it would have created
// and of what it would have written for them. Sixteen bytes a customer rather
// than the customer, so that a long file can be tried.
//
// Mail addresses and phone numbers that two new customers of different batches
// share are not found before the import is run in earnest.
type rehearsal struct {
	seed    maphash.Seed
	written map[uint64]uint64
}

func newRehearsal() *rehearsal {
	return &rehearsal{seed: maphash.MakeSeed(), written: make(map[uint64]uint64)}
}

// judge corrects the result of a row whose customer an earlier batch would
// have created, and takes out the names of customers that there are not.
func (h *rehearsal) judge(w *row) {
	if w.customer == nil {
		return
	}
	id, content := h.hash(w.customer.GetExternalId()), h.content(w.customer)
	before, known := h.written[id]
	if !known {
		if w.result.GetResult() != identityv1.ImportCustomersResponse_RESULT_CREATED {
			return
		}
		h.written[id] = content
		w.result.Customer = ""
		return
	}
	w.result.Customer = ""
	switch {
	case w.result.GetResult() == identityv1.ImportCustomersResponse_RESULT_FAILED:
		return
	case before == content:
		w.result.Result = identityv1.ImportCustomersResponse_RESULT_UNCHANGED
	default:
		w.result.Result = identityv1.ImportCustomersResponse_RESULT_UPDATED
	}
	h.written[id] = content
}

func (h *rehearsal) content(a *storev1.Account) uint64 {
	return h.hash(strings.Join([]string{a.GetDisplayName(), a.GetEmail(), a.GetPhone(), a.GetCountry(), a.GetLanguage()}, "\x00"))
}

func (h *rehearsal) hash(s string) uint64 { return maphash.String(h.seed, s) }
