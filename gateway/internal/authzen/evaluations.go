package authzen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	// maxEvaluations is how many questions one call may ask.
	maxEvaluations = 1000
	// maxQuestions bounds what the questions are together, and maxBatch what
	// goes to the permission service at once. A default is small in the
	// request and stands in each question: without a bound, one body of 1 MiB
	// would make a thousand times as much work.
	maxQuestions = 8 << 20
	maxBatch     = 512 << 10
)

// The values of options.evaluations_semantic, and after which decision each
// stops; nil is never.
var semantics = map[string]func(*decision) bool{
	"execute_all":            func(*decision) bool { return false },
	"deny_on_first_deny":     func(d *decision) bool { return !d.Decision },
	"permit_on_first_permit": func(d *decision) bool { return d.Decision },
}

// Evaluations answers many questions in one call (section 7). What stands
// beside the list is the default of each element, and an element replaces a
// default as a whole. Without a list, or with an empty one, it is Evaluation.
func (a *API) Evaluations(ctx context.Context, r *Request) (any, error) {
	o, err := readBody(r.Body)
	if err != nil {
		return nil, err
	}
	elements, err := o.list("evaluations")
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return a.evaluate(ctx, r, o)
	}
	stops, err := o.semantic()
	if err != nil {
		return nil, err
	}
	if err := o.checkDefaults(); err != nil {
		return nil, err
	}
	decisions, questions, err := a.read(ctx, r.Organization, o.once(), elements)
	if err != nil {
		return nil, err
	}
	if err := a.answer(ctx, r, decisions, questions); err != nil {
		return nil, err
	}
	for i, d := range decisions {
		if stops(d) {
			decisions = decisions[:i+1]
			break
		}
	}
	return map[string]any{"evaluations": decisions}, nil
}

// list returns a member that may be there and then is a list; not more of it
// than may be asked at once.
func (o object) list(name string) ([]json.RawMessage, error) {
	if !o.has(name) {
		return nil, nil
	}
	var elements []json.RawMessage
	if !startsWith(o[name], '[') || json.Unmarshal(o[name], &elements) != nil {
		return nil, wrongType(name, "send a list")
	}
	if len(elements) > maxEvaluations {
		return nil, errs.InvalidField(name, "REPEATED_MAX_ITEMS", fmt.Sprintf("ask at most %d questions at once", maxEvaluations))
	}
	return elements, nil
}

// semantic returns after which decision the answer ends.
func (o object) semantic() (stops func(*decision) bool, err error) {
	const name = "evaluations_semantic"
	choice := "execute_all"
	if o.has("options") {
		options, err := o.object("options")
		if err != nil {
			return nil, err
		}
		if options.has(name) {
			if choice, err = options.text("options", name); err != nil {
				return nil, err
			}
		}
	}
	stops, ok := semantics[choice]
	if !ok {
		return nil, errs.InvalidField("options."+name, "STRING_IN",
			"send execute_all, deny_on_first_deny or permit_on_first_permit")
	}
	return stops, nil
}

// checkDefaults refuses a default that is of the wrong type. One that only
// lacks something may never be needed.
func (o object) checkDefaults() error {
	for _, name := range questionParts {
		if o.has(name) && !startsWith(o[name], '{') {
			return wrongType(name, "send a JSON object")
		}
	}
	return nil
}

// read makes a question of each element. In place of one that cannot be asked
// stands its decision, which is no.
func (a *API) read(ctx context.Context, organization string, defaults reader, elements []json.RawMessage) ([]*decision, []*question, error) {
	decisions, questions := make([]*decision, len(elements)), make([]*question, len(elements))
	size := 0
	for i, text := range elements {
		q, err := a.element(ctx, organization, defaults, i, text)
		if errs.Is(err, errs.Invalid) {
			decisions[i] = failed(http.StatusBadRequest, errs.From(err).Message)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		questions[i] = q
		if size += proto.Size(q.query); size > maxQuestions {
			return nil, nil, errs.New(errs.Invalid, problem.BodyTooLarge,
				"the questions, each with its defaults, are larger than one call takes; ask in several")
		}
	}
	return decisions, questions, nil
}

// element reads the question of an element.
func (a *API) element(ctx context.Context, organization string, defaults reader, i int, text json.RawMessage) (*question, error) {
	own, err := readObject(fmt.Sprintf("evaluations[%d]", i), text)
	if err != nil {
		return nil, err
	}
	return a.question(ctx, organization, func(name string) (entity, error) {
		if own.has(name) {
			return own.part(name)
		}
		return defaults(name)
	})
}

// once is part, which reads each part only the first time: a thousand
// elements may have one default.
func (o object) once() reader {
	type result struct {
		e   entity
		err error
	}
	known := map[string]result{}
	return func(name string) (entity, error) {
		r, ok := known[name]
		if !ok {
			r.e, r.err = o.part(name)
			known[name] = r
		}
		return r.e, r.err
	}
}

// answer fills in the decisions that are open. The questions of a batch are
// answered on one snapshot.
func (a *API) answer(ctx context.Context, r *Request, decisions []*decision, questions []*question) error {
	judge := a.judge(r)
	for _, batch := range batches(questions) {
		req := &permissionv1.BatchCheckRequest{Parent: r.Organization}
		for _, i := range batch {
			req.Queries = append(req.Queries, questions[i].query)
		}
		if len(batch) == 0 {
			req.Queries = []*permissionv1.CheckQuery{{Subject: nobody, Permission: nobody, Resource: nobody}}
		}
		answer, err := a.cfg.Checks.BatchCheck(ctx, req)
		if err != nil {
			return err
		}
		for n, i := range batch {
			if decisions[i], err = judge.decide(ctx, questions[i], answer.GetResults()[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// batches divides the places of what can be asked by size. There is one batch
// at least, an empty one where nothing can be asked: it is the permission
// service that says who may ask at all.
func batches(questions []*question) [][]int {
	out, size := [][]int{nil}, 0
	for i, q := range questions {
		if q == nil {
			continue
		}
		last := len(out) - 1
		if size += proto.Size(q.query); size > maxBatch && len(out[last]) > 0 {
			out, size = append(out, nil), proto.Size(q.query)
			last++
		}
		out[last] = append(out[last], i)
	}
	return out
}
