package groupchat

import (
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/subjectdata"
	"guildhall.dev/services/groupchat/internal/group"
	"guildhall.dev/services/groupchat/internal/message"
)

// newSubjects returns what erases, gives out and moves what there is of one customer.
// A centre that comes to keep something of people has its lines here, and in the table
// of the README that says what becomes of it.
func newSubjects(kit *serve.Kit, j *journal.Journal, books subjectdata.Books, groups *group.Groups, messages *message.Messages) *subjectdata.Server {
	return subjectdata.NewServer(
		erasure.NewEraser(erasure.Config{
			Service: name, Book: books.Erasures, Journal: j.Changes,
			Steps: []erasure.Step{groups.EraseMember, groups.EraseInviter, groups.EraseWords, messages.Erase, books.Moves.Erase},
		}),
		portability.New(portability.Config{
			Service: name, Store: j.Store, Pages: j.Pages,
			Kinds: []portability.Kind{
				{Name: "members", List: groups.ExportedMembers()},
				{Name: "groups", List: groups.ExportedGroups()},
				{Name: "messages", List: messages.Exported()},
			},
		}),
		move.NewMover(move.Config{
			Service: name, Book: books.Moves, Erasures: books.Erasures, Journal: j.Changes, Store: j.Store,
			Kinds:  []move.Kind{groups.MovedMembers(), groups.MovedInviters(), groups.MovedWords(), messages.Moved()},
			Logger: kit.Logger, Clock: kit.Clock,
		}),
	)
}

// migrations are the steps from older forms of the store.
func migrations(groups *group.Groups, messages *message.Messages) []kv.Migration {
	return []kv.Migration{
		{Number: 1, Name: "index_messages_by_account", Run: messages.Reindex},
		{Number: 2, Name: "index_members_by_inviter", Run: groups.Reindex},
	}
}
