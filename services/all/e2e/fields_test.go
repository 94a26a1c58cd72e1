package e2e

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// fieldPolicies: of two who do the same work, lin sees what customers said and
// what was noted about it, and wei how to reach them; in every service.
func fieldPolicies(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		w := &watched{company: c, lin: c.hire("lin"), wei: c.hire("wei"), chen: c.enrol("chen")}
		w.phone(t)
		w.file(t)
		for _, p := range []*person{w.lin, w.wei} {
			c.grant(p.name, "roles/customer.service", c.name)
			c.grant(p.name, "roles/auditor", c.name)
		}
		w.wantSeen(t, w.lin, everything)
		w.restrict(t)
		w.wantSeen(t, w.lin, seen{email: "***@customer.example", phone: "***8000", verbatim: verbatim, note: note})
		w.wantSeen(t, w.wei, seen{email: w.email(), phone: number})
		w.wantSeen(t, c.admin, everything)
		w.wantSeen(t, w.chen, seen{email: w.email(), phone: number, verbatim: verbatim}) // notes are the staff's
		w.filters(t)
		w.changes(t)
		w.exports(t)
	})
}

const (
	number   = "+8613800138000"
	verbatim = "It came a week late."
	note     = "called her"
)

// watched is a company whose people see different parts of a customer.
type watched struct {
	*company
	lin, wei, chen *person
	complaint      string
}

func (w *watched) email() string { return "chen@customer.example" }

func (w *watched) phone(t *testing.T) {
	req := &identityv1.UpdateCustomerRequest{Customer: &identityv1.Customer{Name: w.chen.name, Phone: number}, RequestId: newID("r")}
	patiently(t, func(ctx context.Context) (*identityv1.Customer, error) {
		return w.admin.customers.UpdateCustomer(ctx, req)
	})
}

func (w *watched) file(t *testing.T) {
	filed := need(w.chen.complaints.CreateComplaint(t.Context(), &feedbackv1.CreateComplaintRequest{
		Parent: w.chen.name, Complaint: &feedbackv1.Complaint{Subject: "Late", Verbatim: verbatim, Channel: feedbackv1.Complaint_CHANNEL_ONLINE},
	}))(t)
	need(w.admin.complaints.AcknowledgeComplaint(t.Context(), &feedbackv1.AcknowledgeComplaintRequest{Name: filed.GetName(), Note: note}))(t)
	w.complaint = filed.GetName()
}

// restrict makes the policies, and gives each of the two what they are to see.
func (w *watched) restrict(t *testing.T) {
	t.Helper()
	for _, p := range []*permissionv1.FieldPolicy{
		{DataClass: "contact", Otherwise: permissionv1.Visibility_VISIBILITY_MASKED},
		{DataClass: "feedback", Otherwise: permissionv1.Visibility_VISIBILITY_HIDDEN},
		{DataClass: "note", Otherwise: permissionv1.Visibility_VISIBILITY_HIDDEN},
		{DataClass: "device", Otherwise: permissionv1.Visibility_VISIBILITY_HIDDEN},
	} {
		need(w.admin.fields.CreateFieldPolicy(t.Context(), &permissionv1.CreateFieldPolicyRequest{Parent: w.name, FieldPolicy: p}))(t)
	}
	for to, permissions := range map[*person][]string{
		w.lin: {"data.feedback.read", "data.note.read"}, w.wei: {"data.contact.read"},
	} {
		role := need(w.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
			Parent: w.name, Role: &permissionv1.Role{DisplayName: "Sees", Permissions: permissions},
		}))(t)
		w.grant(to.name, role.GetName(), w.name)
	}
}

// seen is what somebody sees of the customer and the complaint.
type seen struct{ email, phone, verbatim, note string }

var everything = seen{email: "chen@customer.example", phone: number, verbatim: verbatim, note: note}

// wantSeen reads the customer and the complaint by each way there is.
func (w *watched) wantSeen(t *testing.T, p *person, want seen) {
	t.Helper()
	ctx := t.Context()
	got := func(c *identityv1.Customer, f *feedbackv1.Complaint) seen {
		return seen{c.GetEmail(), c.GetPhone(), f.GetVerbatim(), f.GetHistory()[1].GetNote()}
	}
	one := need(p.customers.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: w.chen.name}))(t)
	filed := need(p.complaints.GetComplaint(ctx, &feedbackv1.GetComplaintRequest{Name: w.complaint}))(t)
	wants(t, p.name+" gets", got(one, filed), want)
	listed := need(p.complaints.ListComplaints(ctx, &feedbackv1.ListComplaintsRequest{Parent: w.chen.name}))(t).GetComplaints()
	if p == w.chen { // customers list none of their like
		wants(t, p.name+" lists", got(one, listed[0]), want)
		return
	}
	customers := need(p.customers.ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: w.name}))(t).GetCustomers()
	wants(t, p.name+" lists", got(customers[0], listed[0]), want)
	batch := need(p.customers.BatchGetCustomers(ctx, &identityv1.BatchGetCustomersRequest{Parent: w.name, Names: []string{w.chen.name}}))(t)
	wants(t, p.name+" gets many", got(batch.GetCustomers()[0], filed), want)
}

// filters: a match tells what a mask hides.
func (w *watched) filters(t *testing.T) {
	find := &identityv1.ListCustomersRequest{Parent: w.name, Filter: `email = "` + w.email() + `"`}
	wants(t, "wei finds", len(need(w.wei.customers.ListCustomers(t.Context(), find))(t).GetCustomers()), 1)
	err := refused(w.lin.customers.ListCustomers(t.Context(), find))(t, errs.Denied, "FIELD_RESTRICTED")
	if len(err.Violations) != 1 || err.Violations[0].Field != "filter" {
		t.Errorf("violations %v", err.Violations)
	}
	find.Filter = `state = "ACTIVE"`
	wants(t, "lin finds", len(need(w.lin.customers.ListCustomers(t.Context(), find))(t).GetCustomers()), 1)
}

// changes: what was masked does not come back as a value, and the answer to a
// change is masked as any other.
func (w *watched) changes(t *testing.T) {
	ctx := t.Context()
	read := need(w.lin.customers.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: w.chen.name}))(t)
	read.Phone, read.Country = "", "SG"
	refused(w.lin.customers.UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: read}))(t, errs.Denied, "FIELD_RESTRICTED")
	req := &identityv1.UpdateCustomerRequest{Customer: read, RequestId: newID("req"), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"country"}}}
	read.Email = ""
	for range 2 { // the stored answer to a retry too
		changed := need(w.lin.customers.UpdateCustomer(ctx, req))(t)
		wants(t, "the answer", changed.GetEmail(), "***@customer.example")
	}
	kept := need(w.admin.customers.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: w.chen.name}))(t)
	wants(t, "the country", kept.GetCountry(), "SG")
	wants(t, "the address", kept.GetEmail(), w.email())
}

// exports: where a call came from is of class device.
func (w *watched) exports(t *testing.T) {
	addresses := func(p *person) (n int) {
		stream := need(p.audit("identity").ExportAuditEntries(t.Context(), &auditv1.ExportAuditEntriesRequest{Parent: w.name}))(t)
		for {
			e, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return n
			}
			if need(e, err)(t).GetRemoteAddress() != "" {
				n++
			}
		}
	}
	wants(t, "the addresses that lin exports", addresses(w.lin), 0)
	if addresses(w.admin) == 0 {
		t.Error("the administrator exports no addresses")
	}
}
