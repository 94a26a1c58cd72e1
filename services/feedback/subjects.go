package feedback

import (
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/subjectdata"
	"guildhall.dev/services/feedback/internal/complaint"
	"guildhall.dev/services/feedback/internal/survey"
)

// newSubjects returns what erases, and gives out, what there is of one customer. A
// centre that comes to keep something of people has its lines here, and in the table
// of the README that says what becomes of it.
func newSubjects(j *journal.Journal, book *erasure.Book, surveys *survey.Surveys, complaints *complaint.Complaints) *subjectdata.Server {
	return subjectdata.NewServer(
		erasure.NewEraser(erasure.Config{
			Service: name, Book: book, Journal: j.Changes,
			Steps: []erasure.Step{surveys.Erase, complaints.Erase},
		}),
		portability.New(portability.Config{
			Service: name, Store: j.Store, Pages: j.Pages,
			Kinds: []portability.Kind{
				{Name: "responses", List: surveys.Exported()},
				{Name: "complaints", List: complaints.Exported()},
			},
		}),
	)
}

// migrations are the steps from older forms of the store.
func migrations(surveys *survey.Surveys) []kv.Migration {
	return []kv.Migration{{Number: 1, Name: "index_responses_by_account", Run: surveys.Reindex}}
}
