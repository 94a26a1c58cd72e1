// Package notice keeps what accounts are told about their permissions, and
// that they acknowledged it.
//
//	given --acknowledge, by its recipient--> acknowledged
//
// A notice is a record of the service and not a message: it is there from the
// moment the change that it explains is, cannot be lost on the way, and is
// never edited, and deleted only with all there is of the account. Its event lets others carry it further, without its
// words.
package notice

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/subject"
)

// patterns are the forms of the names of notices.
func patterns() []resource.Pattern { return subject.OfAccounts("notices") }

// byRecipient orders an account's notices by time, all and those of one sort.
const byRecipient = "recipient"

// Notices keeps notices. It is safe for concurrent use.
//
//	notices             account, id -> Notice (without etag)
//	notices__recipient  account, "" or whether acknowledged, create time
type Notices struct {
	shelf *shelf.Shelf[*permissionv1.Notice]
}

// New returns the notices that the store holds.
func New() *Notices {
	return &Notices{shelf: shelf.New(shelf.Config[*permissionv1.Notice]{
		Noun: "notice", Table: "notices", Names: patterns(),
		Indexes: []kv.Index[*permissionv1.Notice]{{
			Name: byRecipient, Keys: func(n *permissionv1.Notice) []kv.Key {
				account, at := kv.String(resource.Parent(n.GetName())), kv.Time(n.GetCreateTime().AsTime())
				sort := kv.String(sortOf(n.GetAcknowledgeTime() != nil))
				return []kv.Key{{account, kv.String(""), at}, {account, sort, at}}
			},
		}},
		Covered: []string{"created", "moved"},
		Data:    func(n *permissionv1.Notice) proto.Message { return &permissionv1.NoticeChanged{About: n.GetAbout()} },
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Notices) Tables() []string { return s.shelf.Tables() }

func sortOf(acknowledged bool) string {
	if acknowledged {
		return "acknowledged"
	}
	return "open"
}

// Check returns nil for the name of a notice, and else Invalid
// (RESOURCE_NAME_INVALID).
func Check(name string) error {
	for _, p := range patterns() {
		if p.Matches(name) {
			return nil
		}
	}
	return errs.InvalidField("name", resource.Reason, "send a name of the form organizations/acme/staff/s1/notices/n1")
}

// Give tells an account something, and returns the notice. about is the
// resource that it is about.
func (s *Notices) Give(tx *change.Tx, account, about string, title, body *permissionv1.LocalText) (*permissionv1.Notice, error) {
	return s.shelf.Create(tx, account, "", &permissionv1.Notice{}, func(n *permissionv1.Notice) error {
		n.About, n.Title, n.Body = about, title, body
		return nil
	})
}

// Get returns a notice, or NotFound (NOTICE_NOT_FOUND).
func (s *Notices) Get(r kv.Reader, name string) (*permissionv1.Notice, error) {
	return s.shelf.Get(r, name)
}

// List returns a page of an account's notices, newest first, and where the
// next one starts, nil at the end. A nil sort is all; else those that are, or
// are not, acknowledged.
func (s *Notices) List(r kv.Reader, account string, sort *bool, after []byte, limit int) ([]*permissionv1.Notice, []byte, error) {
	of := ""
	if sort != nil {
		of = sortOf(*sort)
	}
	return s.shelf.List(r, kv.Query{
		Index: byRecipient, Prefix: kv.Key{kv.String(account), kv.String(of)}, Reverse: true, After: after, Limit: limit,
	})
}

// Acknowledge records that the account has read a notice of its own, and
// reports whether it had not before. Errors are NotFound (NOTICE_NOT_FOUND),
// Conflict (ETAG_MISMATCH) and Denied (RECIPIENT_ONLY): nobody confirms for
// somebody else that they understood.
func (s *Notices) Acknowledge(tx *change.Tx, name, etag, actor string) (n *permissionv1.Notice, first bool, err error) {
	n, err = s.shelf.GetAt(tx, name, etag)
	if err != nil {
		return nil, false, err
	}
	if actor != resource.Parent(name) {
		return nil, false, errs.New(errs.Denied, "RECIPIENT_ONLY", "only the account that a notice is for can acknowledge it")
	}
	if n.GetAcknowledgeTime() != nil {
		tx.Unchanged()
		return n, false, nil
	}
	n, err = s.shelf.Move(tx, name, "", "acknowledged", func(n *permissionv1.Notice) error {
		n.AcknowledgeTime = timestamppb.New(tx.Time)
		return nil
	})
	return n, true, err
}

// Moved is what becomes of what an account was told that is merged into another one:
// that one was told it. What it was about stays as it was said.
func (s *Notices) Moved() move.Kind { return s.shelf.Moved(shelf.Moving[*permissionv1.Notice]{}) }

// Erase removes a part of what an account was told, and reports whether there is
// more. Nothing else removes a notice.
func (s *Notices) Erase(tx *change.Tx, account string) (more bool, err error) {
	return s.shelf.Erase(tx, shelf.Below(account))
}
