package desk

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/task"
)

// tasks implements TaskService.
type tasks struct{ *api.Centres }

// CreateTask makes a task.
func (s tasks) CreateTask(ctx context.Context, req *identityv1.CreateTaskRequest) (*identityv1.Task, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	if req.BusinessDays != nil && req.GetTask().GetDueTime() != nil {
		return nil, errs.InvalidField("business_days", "DUE_TIME_AMBIGUOUS", "send business_days or task.due_time, not both")
	}
	if err := s.mayName(ctx, req.GetTask().GetCustomer()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	creator := ""
	if caller.Kind() == authn.Staff && resource.Parent(caller.Name) == req.GetParent() {
		creator = caller.Name
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Task, error) {
		id, err := tx.IDOr("task_id", req.GetTaskId())
		if err != nil {
			return nil, err
		}
		t := revise.Named(req.GetTask(), task.Pattern.Format(ids[0], id))
		if t.GetAssignee() == "" {
			t.Assignee = creator
		}
		return s.Desk.Create(tx, t, creator, req.BusinessDays)
	})
}

// mayName refuses a caller who may not see a customer, "" for none: that a task can
// be made about it would say that it is there.
func (s tasks) mayName(ctx context.Context, customer string) error {
	if customer == "" {
		return nil
	}
	if err := account.CustomerPattern.Check("task.customer", customer); err != nil {
		return err
	}
	return s.May(ctx, "identity.customers.get", customer)
}

// The permissions on all tasks of an organisation, of who reads and of who changes
// those that are none of their own.
const (
	readsAll   = "identity.tasks.list"
	changesAll = "identity.tasks.reassign"
)

// find returns a task whose assignee or maker the caller is, or that it may reach by
// a permission on all tasks. The error is NotFound (TASK_NOT_FOUND) for anybody
// else, as for a task that is not there.
func (s tasks) find(ctx context.Context, name, permission string) (*identityv1.Task, error) {
	if err := task.Pattern.Check("name", name); err != nil {
		return nil, err
	}
	t, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Task, error) { return s.Tasks.Get(r, name) })
	if err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil || caller.Name == t.GetAssignee() || caller.Name == t.GetCreator() {
		return t, err
	}
	err = s.May(ctx, permission, resource.Parent(name))
	if errs.Is(err, errs.Denied) {
		err = task.NotFound(name)
	}
	return t, err
}

// named is a request about one task.
type named interface {
	proto.Message
	GetName() string
}

// do changes a task that is the caller's business.
func (s tasks) do(ctx context.Context, req named, fn func(*change.Tx) (*identityv1.Task, error)) (*identityv1.Task, error) {
	if _, err := s.find(ctx, req.GetName(), changesAll); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, fn)
}

// GetTask returns a task.
func (s tasks) GetTask(ctx context.Context, req *identityv1.GetTaskRequest) (*identityv1.Task, error) {
	return s.find(ctx, req.GetName(), readsAll)
}

// ListTasks returns a page of tasks, those due first first.
func (s tasks) ListTasks(ctx context.Context, req *identityv1.ListTasksRequest) (*identityv1.ListTasksResponse, error) {
	if err := api.CheckStaffScope("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := task.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListTasks", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Task, []byte, error) {
		return s.Tasks.List(r, task.Query{Parent: req.GetParent(), Filter: terms, After: after, Limit: limit})
	}, req.GetFilter())
	return &identityv1.ListTasksResponse{Tasks: found, NextPageToken: next}, err
}

// UpdateTask changes the masked fields.
func (s tasks) UpdateTask(ctx context.Context, req *identityv1.UpdateTaskRequest) (*identityv1.Task, error) {
	if err := task.Pattern.Check("task.name", req.GetTask().GetName()); err != nil {
		return nil, err
	}
	if _, err := s.find(ctx, req.GetTask().GetName(), changesAll); err != nil {
		return nil, err
	}
	if err := s.mayName(ctx, req.GetTask().GetCustomer()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Task, error) {
		return s.Desk.Update(tx, req.GetTask(), req.GetUpdateMask())
	})
}

// DeleteTask removes a task.
func (s tasks) DeleteTask(ctx context.Context, req *identityv1.DeleteTaskRequest) (*identityv1.Task, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*identityv1.Task, error) {
		return s.Tasks.Delete(tx, req.GetName(), req.GetEtag())
	})
}

// CompleteTask says that a task is done.
func (s tasks) CompleteTask(ctx context.Context, req *identityv1.CompleteTaskRequest) (*identityv1.Task, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*identityv1.Task, error) {
		return s.Desk.Complete(tx, req.GetName(), req.GetEtag(), req.GetOutcome())
	})
}

// SnoozeTask reminds of a task at another time.
func (s tasks) SnoozeTask(ctx context.Context, req *identityv1.SnoozeTaskRequest) (*identityv1.Task, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*identityv1.Task, error) {
		return s.Tasks.Snooze(tx, req.GetName(), req.GetEtag(), req.GetUntil().AsTime())
	})
}

// CancelTask says that a task will not be done.
func (s tasks) CancelTask(ctx context.Context, req *identityv1.CancelTaskRequest) (*identityv1.Task, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*identityv1.Task, error) {
		return s.Desk.Cancel(tx, req.GetName(), req.GetEtag(), req.GetOutcome(), req.GetSkip())
	})
}

// ReassignTask gives a task to somebody else.
func (s tasks) ReassignTask(ctx context.Context, req *identityv1.ReassignTaskRequest) (*identityv1.Task, error) {
	if err := account.StaffPattern.Check("assignee", req.GetAssignee()); err != nil {
		return nil, err
	}
	return s.do(ctx, req, func(tx *change.Tx) (*identityv1.Task, error) {
		return s.Desk.Reassign(tx, req.GetName(), req.GetEtag(), req.GetAssignee())
	})
}

// ReassignTasks gives the open tasks of one member of staff to others.
func (s tasks) ReassignTasks(ctx context.Context, req *identityv1.ReassignTasksRequest) (*identityv1.ReassignTasksResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := account.StaffPattern.Check("assignee", req.GetAssignee()); err != nil {
		return nil, err
	}
	if resource.Parent(req.GetAssignee()) != req.GetParent() {
		return nil, errs.NotFoundName("STAFF_MEMBER_NOT_FOUND", req.GetAssignee())
	}
	for _, name := range req.GetSuccessors() {
		if err := account.StaffPattern.Check("successors", name); err != nil {
			return nil, err
		}
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ReassignTasksResponse, error) {
		n, more, err := s.Desk.ReassignAll(tx, req.GetAssignee(), req.GetSuccessors())
		return &identityv1.ReassignTasksResponse{ReassignedCount: int32(n), More: more}, err
	})
}

// GetTaskReport returns how much is late.
func (s tasks) GetTaskReport(ctx context.Context, req *identityv1.GetTaskReportRequest) (*identityv1.TaskReport, error) {
	scope, ok := strings.CutSuffix(req.GetName(), "/taskReport")
	if err := api.CheckStaffScope("name", scope); !ok || err != nil {
		return nil, errs.InvalidField("name", resource.Reason, "send the name of a report, as in organizations/acme/taskReport")
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.TaskReport, error) {
		return s.Tasks.Report(r, scope, s.Clock())
	})
}
