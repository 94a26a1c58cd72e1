package survey

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/resource"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// eraseChunk is how many responses one transaction of an erasure removes.
const eraseChunk = 50

const byAccount = "account"

// Reindex makes the index by respondents for responses from before there was one.
func (s *Surveys) Reindex(ctx context.Context, store kv.Store) error {
	return s.responses.Reindex(ctx, store, byAccount)
}

// Erase removes some of an account's responses; see erasure.Step. They no longer
// count: a rating without its respondent would still be one of somebody whom the
// audit log names, and what tables and scores say can only agree.
func (s *Surveys) Erase(tx *change.Tx, account string) (more bool, err error) {
	p, err := s.responses.List(tx, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(account)}, Limit: eraseChunk})
	if err != nil {
		return false, err
	}
	for _, v := range p.Values() {
		if _, err := s.responses.Remove(tx, s.responses.KeyOf(v)); err != nil {
			return false, err
		}
		survey := resource.Parent(v.GetName())
		if !v.GetSuperseded() {
			if err := s.count(tx, survey, v, -1); err != nil {
				return false, err
			}
		}
		tx.Record(change.Change{
			Resource: v.GetName(), Type: "guildhall.feedback.response.erased.v1", Covered: true,
			Data: &feedbackv1.ResponseErased{Survey: survey},
		})
	}
	return p.Next != nil, nil
}

// Exported lists the responses of an account, oldest first.
func (s *Surveys) Exported() portability.List {
	return portability.FromTable(s.responses, func(account string) kv.Query {
		return kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(account)}}
	}, func(rec kv.Record[*feedbackv1.Response], _ string) proto.Message { return viewResponse(rec) })
}
