package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) tasks() identityv1.TaskServiceClient {
	return identityv1.NewTaskServiceClient(p.conn)
}

func (p *process) workdays() identityv1.WorkdayServiceClient {
	return identityv1.NewWorkdayServiceClient(p.conn)
}

// dated returns a time as a message.
func dated(at time.Time) *timestamppb.Timestamp { return timestamppb.New(at) }

// task makes a task of a title.
func (p *process) task(ctx context.Context, id string, t *identityv1.Task) *identityv1.Task {
	p.t.Helper()
	t.Title = id
	made, err := p.tasks().CreateTask(ctx, &identityv1.CreateTaskRequest{Parent: org, TaskId: id, Task: t})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// todo returns the titles of the tasks of a list, with "@" and the assignee.
func (p *process) todo(ctx context.Context, parent, filter string) string {
	p.t.Helper()
	var all []string
	for token := ""; ; {
		resp, err := p.tasks().ListTasks(ctx, &identityv1.ListTasksRequest{Parent: parent, PageSize: 2, PageToken: token, Filter: filter})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, t := range resp.GetTasks() {
			all = append(all, t.GetTitle()+"@"+strings.TrimPrefix(t.GetAssignee(), org+"/staff/"))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return strings.Join(all, " ")
		}
	}
}

// china sets a calendar in which the National Day holiday of 2026 is worked off.
func (p *process) china(ctx context.Context) *identityv1.WorkingCalendar {
	p.t.Helper()
	day := func(m, d int32) *date.Date { return &date.Date{Year: 2026, Month: m, Day: d} }
	c, err := p.workdays().UpdateWorkingCalendar(ctx, &identityv1.UpdateWorkingCalendarRequest{WorkingCalendar: &identityv1.WorkingCalendar{
		Name: org + "/workingCalendar", TimeZone: "Asia/Shanghai",
		Holidays:   []*identityv1.Holiday{{DisplayName: "国庆节", StartDate: day(10, 1), EndDate: day(10, 7)}},
		MakeUpDays: []*date.Date{day(9, 20), day(10, 10)},
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// eachEngineAt is eachEngine at a time.
func eachEngineAt(t *testing.T, at time.Time, test func(t *testing.T, p *process)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			h.clock.at.Store(at.UnixNano())
			test(t, h.start(config()))
		})
	}
}

// swept restarts the process, which sweeps at once, and logs the administrator in.
func (p *process) swept() (*process, context.Context) {
	p.t.Helper()
	p.close()
	after := p.host.start(config())
	return after, after.backIn()
}
