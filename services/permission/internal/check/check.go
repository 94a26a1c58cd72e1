// Package check answers checks: it puts the rules of package decide before
// what package cache knows, and counts the answers.
//
// It is one place for the two ways by which questions come: the CheckService,
// and the interceptors of a process that holds this service.
package check

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/cache"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/people/reading"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/usage"
)

// Config says what a Checker needs. Cache, Rules and Use are required.
type Config struct {
	Cache *cache.Cache
	Rules *decide.Rules
	// Clock decides what has expired; nil is time.Now.
	Clock func() time.Time
	// Meter counts checks by result; nil counts none.
	Meter metric.Meter
	// Usage notes which grants decide; nil notes none.
	Usage *usage.Recorder
	// Decisions logs answers; nil logs none.
	Decisions *decision.Log
	// Readings counts who reads how much; nil counts nothing.
	Readings *reading.Counter
	// Use uses up approvals for a single use.
	Use authz.Use
}

// Checker answers checks. It is an authz.Checker, and safe for concurrent use.
type Checker struct {
	cfg                     Config
	allowed, denied, failed atomic.Int64
	withheld                atomic.Int64
}

var (
	_ authz.Checker   = (*Checker)(nil)
	_ authz.Discloser = (*Checker)(nil)
)

// New returns a checker.
func New(cfg Config) (*Checker, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	c := &Checker{cfg: cfg}
	return c, c.register(cfg.Meter)
}

// Answer answers questions about one organisation, in their order, all on one
// state of its grants that is no older than the call, and returns the revision
// of that state. An error is that of the store or the context, and no answer.
func (c *Checker) Answer(ctx context.Context, organization string, questions []decide.Question) ([]decide.Answer, revision.Revision, error) {
	return c.AnswerAs(ctx, organization, cache.Need{}, questions)
}

// AnswerAs is Answer on a state that is as fresh as is needed; see
// cache.ViewAs.
func (c *Checker) AnswerAs(ctx context.Context, organization string, need cache.Need, questions []decide.Question) ([]decide.Answer, revision.Revision, error) {
	now := c.cfg.Clock()
	answers := make([]decide.Answer, len(questions))
	v, err := c.cfg.Cache.ViewAs(ctx, organization, need, func(facts decide.Facts) error {
		return c.cfg.Rules.AnswerAll(facts, organization, questions, now, answers)
	})
	if err != nil {
		c.failed.Add(int64(len(questions)))
		return nil, revision.Revision{}, err
	}
	c.count(questions, answers)
	c.tell(now, organization, v, questions, answers)
	return answers, v, nil
}

// tell passes the answers on to those who keep something of them. Neither
// waits for anything.
func (c *Checker) tell(now time.Time, organization string, v revision.Revision, questions []decide.Question, answers []decide.Answer) {
	read := "" // a list that is asked for each type is read once
	for i, a := range answers {
		q := questions[i]
		decided := a.Allowed || a.Denial == permissionv1.Denial_DENIAL_DENIED_BY_GRANT
		if c.cfg.Usage != nil && a.Grant != "" && decided {
			c.cfg.Usage.Note(a.Grant, now)
		}
		if c.cfg.Readings != nil && a.Allowed && !(q.Filtering && q.Resource == read) {
			c.cfg.Readings.Note(organization, q.Subject, q.Permission, q.Resource, now)
			read = q.Resource
		}
		if c.cfg.Decisions != nil {
			c.cfg.Decisions.Record(now, organization, v.Number, q, a)
		}
	}
}

func (c *Checker) count(questions []decide.Question, answers []decide.Answer) {
	var allowed, withheld int64
	for i, a := range answers {
		if a.Allowed {
			allowed++
		} else if questions[i].Filtering {
			withheld++
		}
	}
	if allowed > 0 {
		c.allowed.Add(allowed)
	}
	if withheld > 0 {
		c.withheld.Add(withheld)
	}
	if denied := int64(len(answers)) - allowed - withheld; denied > 0 {
		c.denied.Add(denied)
	}
}

// Check implements authz.Checker, for the interceptors of this process.
func (c *Checker) Check(ctx context.Context, r authz.Request) (authz.Answer, error) {
	resources := r.Asked()
	if len(resources) == 0 {
		return authz.Answer{}, authz.NewDenied(r.Permission, "")
	}
	questions := make([]decide.Question, len(resources))
	attributes := r.Known(ctx)
	for i, resource := range resources {
		questions[i] = question(r, resource, attributes)
	}
	answers, err := c.own(ctx, r, questions)
	if err != nil {
		return authz.Answer{}, err
	}
	all := authz.Answer{Allowed: true}
	var unsettled []authz.Answer
	for i, a := range answers {
		all.Restricted = all.Restricted || a.Restricted
		if !a.Allowed || a.SingleUse {
			unsettled = append(unsettled, answerOf(resources[i], a))
		}
	}
	if unsettled != nil {
		if err := r.Settle(ctx, unsettled, c.cfg.Use); err != nil {
			return authz.Answer{}, err
		}
	}
	return all, nil
}

func answerOf(resource string, a decide.Answer) authz.Answer {
	return authz.Answer{Resource: resource, Allowed: a.Allowed, Denial: a.Denial, SingleUse: a.SingleUse, Restricted: a.Restricted}
}

// Which implements authz.Checker.
func (c *Checker) Which(ctx context.Context, r authz.Request, variants []*permissionv1.Attributes) ([]authz.Answer, error) {
	r.Approval = authz.Approval{}
	questions := make([]decide.Question, 0, len(variants)*len(r.Resources))
	for _, a := range variants {
		r.Attributes = a
		attributes := r.Known(ctx)
		for _, resource := range r.Resources {
			q := question(r, resource, attributes)
			q.Filtering = true
			questions = append(questions, q)
		}
	}
	answers, err := c.own(ctx, r, questions)
	if err != nil {
		return nil, err
	}
	each := make([]authz.Answer, len(answers))
	for i, a := range answers {
		each[i] = answerOf("", a)
	}
	return authz.Among(len(variants), each)
}

func question(r authz.Request, resource string, attributes *permissionv1.Attributes) decide.Question {
	return decide.Question{
		Subject: r.Caller.Name, Permission: r.Permission, Resource: resource,
		Session: r.Caller.Session, Attributes: attributes, Approval: r.Approval.Name,
	}
}

// own answers questions of this process's interceptors.
func (c *Checker) own(ctx context.Context, r authz.Request, questions []decide.Question) ([]decide.Answer, error) {
	answers, _, err := c.Answer(ctx, r.Caller.Organization(), questions)
	if err != nil {
		return nil, unknowable(ctx, err)
	}
	return answers, nil
}

// unknowable is the error for an interceptor of this process when there is no
// answer.
func unknowable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return errs.New(errs.Unavailable, "PERMISSION_UNAVAILABLE", "permissions cannot be checked at the moment; try again",
		errs.Cause(err), errs.RetryAfter(time.Second))
}

// register makes the metric. It reads plain counters, because a check costs
// less than adding to a metric with attributes.
func (c *Checker) register(meter metric.Meter) error {
	if meter == nil {
		return nil
	}
	result := func(r string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("result", r)))
	}
	allowed, denied, failed, withheld := result("allowed"), result("denied"), result("error"), result("withheld")
	_, err := meter.Int64ObservableCounter("guildhall.permission.checks", metric.WithDescription("Checks by result."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(c.allowed.Load(), allowed)
			o.Observe(c.denied.Load(), denied)
			o.Observe(c.failed.Load(), failed)
			o.Observe(c.withheld.Load(), withheld)
			return nil
		}))
	if err != nil {
		return fmt.Errorf("metric of checks: %w", err)
	}
	return nil
}
