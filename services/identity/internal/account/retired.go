package account

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// retiredTable is (organisation, hash of a name) -> RetiredName: the names of accounts
// that were purged. An erased account's is kept by its tombstone.
//
// A name is never given twice: messages, answers and audit entries of whoever had it
// would become those of somebody else.
func retiredTable() *kv.Table[*storev1.RetiredName] {
	return kv.NewTable(kv.TableConfig[*storev1.RetiredName]{Name: "retired_names", Key: retiredKey})
}

func retiredKey(n *storev1.RetiredName) kv.Key {
	return kv.Key{kv.String(n.GetOrganization()), kv.Bytes(n.GetNameHash())}
}

func (b *Book) retiredName(name string) *storev1.RetiredName {
	return &storev1.RetiredName{
		Organization: resource.Parent(name), NameHash: b.cfg.Hasher.Hash("identity retired name", []byte(name)),
	}
}

// retire keeps the name of an account that is purged from being given again.
func (b *Book) retire(tx *change.Tx, name string) error {
	n := b.retiredName(name)
	n.PurgeTime = timestamppb.New(tx.Time)
	_, err := b.retired.Put(tx, n, "")
	return err
}

// Revive is Create for an account whose name may be a retired one: whoever runs the
// installation makes the same principal anew.
func (b *Book) Revive(tx *change.Tx, a *storev1.Account) (kv.Record[*storev1.Account], error) {
	if _, err := b.retired.Remove(tx, retiredKey(b.retiredName(a.GetName()))); err != nil {
		return kv.Record[*storev1.Account]{}, err
	}
	return b.Create(tx, a, nil)
}

// checkRetired refuses a name that an account had which was purged. The error is
// Exists, as for an account that is there.
func (b *Book) checkRetired(r kv.Reader, name string) error {
	n := b.retiredName(name)
	_, found, err := b.retired.Find(r, retiredKey(n))
	if err != nil || !found {
		return err
	}
	reason := "CUSTOMER_EXISTS"
	switch {
	case StaffPattern.Matches(name):
		reason = "STAFF_MEMBER_EXISTS"
	case ServicePattern.Matches(name):
		reason = "SERVICE_ACCOUNT_EXISTS"
	}
	return errs.New(errs.Exists, reason, "an account that is gone had this id, and no id is given twice; choose another one")
}
