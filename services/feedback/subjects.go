package feedback

import (
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/subjectdata"
	"guildhall.dev/services/feedback/internal/complaint"
	"guildhall.dev/services/feedback/internal/survey"
)

// newSubjects returns what erases, gives out and moves what there is of one customer.
// A centre that comes to keep something of people has its lines here, and in the table
// of the README that says what becomes of it.
func newSubjects(kit *serve.Kit, j *journal.Journal, books subjectdata.Books, surveys *survey.Surveys, complaints *complaint.Complaints) *subjectdata.Server {
	return subjectdata.NewServer(
		erasure.NewEraser(erasure.Config{
			Service: name, Book: books.Erasures, Journal: j.Changes,
			Steps: []erasure.Step{surveys.Erase, complaints.Erase, books.Moves.Erase},
		}),
		portability.New(portability.Config{
			Service: name, Store: j.Store, Pages: j.Pages,
			Kinds: []portability.Kind{
				{Name: "responses", List: surveys.Exported()},
				{Name: "complaints", List: complaints.Exported()},
			},
		}),
		move.NewMover(move.Config{
			Service: name, Book: books.Moves, Erasures: books.Erasures, Journal: j.Changes, Store: j.Store,
			Kinds:  []move.Kind{surveys.Moved(), complaints.Moved()},
			Logger: kit.Logger, Clock: kit.Clock,
		}),
	)
}

// migrations are the steps from older forms of the store.
func migrations(surveys *survey.Surveys) []kv.Migration {
	return []kv.Migration{{Number: 1, Name: "index_responses_by_account", Run: surveys.Reindex}}
}
