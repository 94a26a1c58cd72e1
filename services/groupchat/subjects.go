package groupchat

import (
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/subjectdata"
	"guildhall.dev/services/groupchat/internal/group"
	"guildhall.dev/services/groupchat/internal/message"
)

// newSubjects returns what erases, and gives out, what there is of one customer. A
// centre that comes to keep something of people has its lines here, and in the table
// of the README that says what becomes of it.
func newSubjects(j *journal.Journal, book *erasure.Book, groups *group.Groups, messages *message.Messages) *subjectdata.Server {
	return subjectdata.NewServer(
		erasure.NewEraser(erasure.Config{
			Service: name, Book: book, Journal: j.Changes,
			Steps: []erasure.Step{groups.EraseMember, groups.EraseInviter, groups.EraseWords, messages.Erase},
		}),
		portability.New(portability.Config{
			Service: name, Store: j.Store, Pages: j.Pages,
			Kinds: []portability.Kind{
				{Name: "members", List: groups.ExportedMembers()},
				{Name: "groups", List: groups.ExportedGroups()},
				{Name: "messages", List: messages.Exported()},
			},
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
