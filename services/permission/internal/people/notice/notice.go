// Package notice keeps what accounts are told about their permissions, and
// that they acknowledged it.
//
//	given --acknowledge, by its recipient--> acknowledged
//
// A notice is a record of the service and not a message: it is there from the
// moment the change that it explains is, cannot be lost on the way, and is
// never edited or deleted. Its event lets others carry it further, without its
// words.
package notice

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Types of the events of notices.
const (
	created      = "guildhall.permission.notice.created.v1"
	acknowledged = "guildhall.permission.notice.acknowledged.v1"
)

const collection = "/notices/"

// byRecipient orders an account's notices by time, all and those of one sort.
const byRecipient = "recipient"

// Notices keeps notices. It is safe for concurrent use.
//
//	notices             name -> Notice (without etag)
//	notices__recipient  account, "" or whether acknowledged, create time
type Notices struct {
	table *kv.Table[*permissionv1.Notice]
}

// New returns the notices that the store holds.
func New() *Notices {
	return &Notices{table: kv.NewTable(kv.TableConfig[*permissionv1.Notice]{
		Name: "notices", Key: func(n *permissionv1.Notice) kv.Key { return kv.Key{kv.String(n.GetName())} },
		NotFound: "NOTICE_NOT_FOUND",
		Indexes: []kv.Index[*permissionv1.Notice]{{
			Name: byRecipient, Keys: func(n *permissionv1.Notice) []kv.Key {
				account, at := kv.String(resource.Parent(n.GetName())), kv.Time(n.GetCreateTime().AsTime())
				sort := kv.String(sortOf(n.GetAcknowledgeTime() != nil))
				return []kv.Key{{account, kv.String(""), at}, {account, sort, at}}
			},
		}},
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Notices) Tables() []string { return slices.Clone(s.table.Tables()) }

func sortOf(acknowledged bool) string {
	if acknowledged {
		return "acknowledged"
	}
	return "open"
}

// Check returns nil for the name of a notice, and else Invalid
// (RESOURCE_NAME_INVALID).
func Check(name string) error {
	account := resource.Parent(name)
	if subject.IsAccount(account) && len(name) > len(account)+len(collection) &&
		name[len(account):len(account)+len(collection)] == collection && resource.ValidID(name[len(account)+len(collection):]) {
		return nil
	}
	return errs.InvalidField("name", resource.Reason, "send a name of the form organizations/acme/staff/s1/notices/n1")
}

// Give tells an account something, and returns the notice. about is the
// resource that it is about.
func (s *Notices) Give(tx *change.Tx, account, about string, title, body *permissionv1.LocalText) (*permissionv1.Notice, error) {
	rec, err := s.table.Create(tx, &permissionv1.Notice{
		Name: account + collection + tx.NewID(), About: about, Title: title, Body: body,
		CreateTime: timestamppb.New(tx.Time),
	})
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: rec.Value.GetName(), Type: created, Data: &permissionv1.NoticeChanged{About: about}, Covered: true,
	})
	return shown(rec), nil
}

// Get returns a notice, or NotFound (NOTICE_NOT_FOUND).
func (s *Notices) Get(r kv.Reader, name string) (*permissionv1.Notice, error) {
	rec, err := s.table.Get(r, kv.Key{kv.String(name)})
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// List returns a page of an account's notices, newest first, and where the
// next one starts, nil at the end. A nil sort is all; else those that are, or
// are not, acknowledged.
func (s *Notices) List(r kv.Reader, account string, sort *bool, after []byte, limit int) ([]*permissionv1.Notice, []byte, error) {
	of := ""
	if sort != nil {
		of = sortOf(*sort)
	}
	page, err := s.table.List(r, kv.Query{
		Index: byRecipient, Prefix: kv.Key{kv.String(account), kv.String(of)}, Reverse: true, After: after, Limit: limit,
	})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*permissionv1.Notice, len(page.Records))
	for i, rec := range page.Records {
		out[i] = shown(rec)
	}
	return out, page.Next, nil
}

// Acknowledge records that the account has read a notice of its own, and
// reports whether it had not before. Errors are NotFound (NOTICE_NOT_FOUND),
// Conflict (ETAG_MISMATCH) and Denied (RECIPIENT_ONLY): nobody confirms for
// somebody else that they understood.
func (s *Notices) Acknowledge(tx *change.Tx, name, etag, actor string) (n *permissionv1.Notice, first bool, err error) {
	rec, err := s.table.Get(tx, kv.Key{kv.String(name)})
	if err != nil {
		return nil, false, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, false, err
	}
	if actor != resource.Parent(name) {
		return nil, false, errs.New(errs.Denied, "RECIPIENT_ONLY", "only the account that a notice is for can acknowledge it")
	}
	if rec.Value.GetAcknowledgeTime() != nil {
		tx.Unchanged()
		return shown(rec), false, nil
	}
	n = proto.CloneOf(rec.Value)
	n.AcknowledgeTime = timestamppb.New(tx.Time)
	if rec, err = s.table.Update(tx, n, ""); err != nil {
		return nil, false, err
	}
	tx.Record(change.Change{
		Resource: name, Type: acknowledged, Data: &permissionv1.NoticeChanged{About: n.GetAbout()},
		ChangedFields: []string{"acknowledge_time"},
	})
	return shown(rec), true, nil
}

func shown(rec kv.Record[*permissionv1.Notice]) *permissionv1.Notice {
	n := proto.CloneOf(rec.Value)
	n.Etag = rec.Etag
	return n
}
