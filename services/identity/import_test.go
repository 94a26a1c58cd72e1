package identity_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// importFile imports a file, cut into pieces of a size, and gives each result
// to take.
func importFile(ctx context.Context, p *process, options *identityv1.ImportOptions, file []byte, piece int, take func(*identityv1.ImportCustomersResponse)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.customers().ImportCustomers(ctx)
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel() // before the wait: a refused call reads no more
	sending.Go(func() {
		err := stream.Send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{Options: options}})
		for rest := file; err == nil && len(rest) > 0; {
			n := min(piece, len(rest))
			err = stream.Send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Data{Data: rest[:n]}})
			rest = rest[n:]
		}
		if err == nil {
			_ = stream.CloseSend() // what went wrong comes with Recv
		}
	})
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		take(resp)
	}
}

// outcome writes results as "line RESULT reason column", one a line.
func outcome(t *testing.T, p *process, ctx context.Context, options *identityv1.ImportOptions, file string) string {
	t.Helper()
	var out []string
	options.Parent = org
	err := importFile(ctx, p, options, []byte(file), 7, func(r *identityv1.ImportCustomersResponse) {
		text := fmt.Sprintf("%d %s %s %s", r.GetLine(), strings.TrimPrefix(r.GetResult().String(), "RESULT_"), r.GetReason(), r.GetColumn())
		out = append(out, strings.TrimSpace(text))
	})
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	return strings.Join(out, "\n")
}

const people = "\xef\xbb\xbfexternal_id,display_name,email,phone,country,note\r\n" +
	"1,Ada,ada@example.com,+8613800138000,China,x\r\n" +
	"\r\n" +
	"2,\"Bob,\nthe \"\"builder\"\"\",,,France,\r\n" +
	",Nobody,,,,\r\n" +
	"3,Cy,no mail,,,\r\n" +
	"4,D\xff,,,,\r\n" +
	"5,Eve,,138,,\r\n" +
	"6,Fay,ADA@example.com,,,\r\n" +
	"7,short\r\n" +
	"8,\"bro\"ken,,,,\r\n" +
	"1,Ada L.,,,,\r\n" +
	"9,李雷,,,中国,"

const peopleOutcome = `2 CREATED
4 CREATED
6 FAILED EXTERNAL_ID_MISSING external_id
7 FAILED EMAIL_INVALID email
8 FAILED ENCODING_INVALID display_name
9 FAILED PHONE_INVALID phone
10 FAILED EMAIL_TAKEN email
11 FAILED COLUMN_COUNT_MISMATCH
12 FAILED LINE_INVALID
13 UPDATED
14 CREATED`

func TestImport_answersEachLine(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		if got := outcome(t, p, ctx, &identityv1.ImportOptions{DryRun: true}, people); got != peopleOutcome {
			t.Errorf("a dry run says\n%s\nwant\n%s", got, peopleOutcome)
		}
		list, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org})
		if err != nil || len(list.GetCustomers()) != 0 {
			t.Fatalf("after a dry run there are %d customers, %v", len(list.GetCustomers()), err)
		}
		if got := outcome(t, p, ctx, &identityv1.ImportOptions{}, people); got != peopleOutcome {
			t.Errorf("got\n%s\nwant\n%s", got, peopleOutcome)
		}
		// Run again, it finds what it made. An empty cell says nothing.
		want := strings.NewReplacer("2 CREATED", "2 UPDATED", "4 CREATED", "4 UNCHANGED", "14 CREATED", "14 UNCHANGED").Replace(peopleOutcome)
		if got := outcome(t, p, ctx, &identityv1.ImportOptions{}, people); got != want {
			t.Errorf("run again, got\n%s\nwant\n%s", got, want)
		}
		list, err = p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: `external_id = "1"`})
		if err != nil || len(list.GetCustomers()) != 1 {
			t.Fatal(list, err)
		}
		ada := list.GetCustomers()[0]
		if ada.GetDisplayName() != "Ada L." || ada.GetEmail() != "ada@example.com" || ada.GetState() != pending {
			t.Errorf("imported %v", ada)
		}
		created := 0
		for _, e := range p.events(ctx, "guildhall.identity.account.state_changed.") {
			if strings.HasPrefix(e.GetSubject(), org+"/customers/") {
				created++
			}
		}
		if created != 3 {
			t.Errorf("%d events of new customers, want 3", created)
		}
		entries, err := identityv1.NewIdentityAuditServiceClient(p.conn).ListAuditEntries(ctx, &auditv1.ListAuditEntriesRequest{
			Parent: org, Filter: `action = "/guildhall.identity.v1.CustomerService/ImportCustomers"`,
		})
		if err != nil || len(entries.GetAuditEntries()) != 2 {
			t.Errorf("%d audit entries, want one for each of two imports: %v", len(entries.GetAuditEntries()), err)
		}
	})
}

func TestImport_deletedCustomersAreLeftAlone(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{ExternalId: "1"})
	if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, p, ctx, &identityv1.ImportOptions{}, "external_id\n1\n"); got != "2 FAILED ILLEGAL_STATE" {
		t.Errorf("got %s", got)
	}
}

func TestImport_refusesABadFileBeforeAnyLine(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	for _, c := range []struct {
		name, file, reason string
		options            *identityv1.ImportOptions
	}{
		{"empty", "", "IMPORT_HEADER_INVALID", &identityv1.ImportOptions{}},
		{"no external id", "email\na@example.com\n", "IMPORT_HEADER_INVALID", &identityv1.ImportOptions{}},
		{"not UTF-8", "external_id,\xff\n1,2\n", "IMPORT_HEADER_INVALID", &identityv1.ImportOptions{}},
		{"not CSV", "external_id,\"x\"y\n1,2\n", "IMPORT_HEADER_INVALID", &identityv1.ImportOptions{}},
		{"twice the same", "external_id,external_id\n1,2\n", "IMPORT_HEADER_INVALID", &identityv1.ImportOptions{}},
		{"mapped twice", "a,b\n1,2\n", "IMPORT_HEADER_INVALID", &identityv1.ImportOptions{Columns: map[string]string{"a": "external_id", "b": "external_id"}}},
		{"unknown column", "a\n1\n", "IMPORT_COLUMN_UNKNOWN", &identityv1.ImportOptions{Columns: map[string]string{"b": "external_id"}}},
		{"unknown field", "a\n1\n", "IMPORT_COLUMN_UNKNOWN", &identityv1.ImportOptions{Columns: map[string]string{"a": "nonsense"}}},
		{"lone quote", "external_id\n1\n\"" + strings.Repeat("x\n", 100_000), "IMPORT_LINE_TOO_LONG", &identityv1.ImportOptions{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.Parent = org
			err := importFile(ctx, p, c.options, []byte(c.file), 1000, func(r *identityv1.ImportCustomersResponse) { t.Errorf("a result: %v", r) })
			wantError(t, err, errs.Invalid, c.reason)
		})
	}
	err := importFile(ctx, p, &identityv1.ImportOptions{Parent: "organizations/other"}, nil, 1, nil)
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("into another organisation: %v", err)
	}
}

// TestImport_manyLines takes in a file of many batches, twice.
func TestImport_manyLines(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, file := p.asAdmin(), manyLines(3_210)
		for _, want := range []identityv1.ImportCustomersResponse_Result{
			identityv1.ImportCustomersResponse_RESULT_CREATED, identityv1.ImportCustomersResponse_RESULT_UNCHANGED,
		} {
			n := int64(0)
			err := importFile(ctx, p, &identityv1.ImportOptions{Parent: org}, file, 64<<10, func(r *identityv1.ImportCustomersResponse) {
				n++
				if r.GetLine() != n+1 || r.GetResult() != want {
					t.Errorf("result %d is %v, want line %d %v", n, r, n+1, want)
				}
			})
			if err != nil || n != 3_210 {
				t.Fatalf("%d results, %v", n, err)
			}
		}
	})
}

func manyLines(n int) []byte {
	var file bytes.Buffer
	file.WriteString("external_id,display_name,email,country\n")
	for i := range n {
		fmt.Fprintf(&file, "%d,Customer %d,c%d@example.com,China\n", i, i, i)
	}
	return file.Bytes()
}

// BenchmarkImport takes in 50,000 new customers, then the same file again.
func BenchmarkImport(b *testing.B) {
	const lines = 50_000
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			file := manyLines(lines)
			for b.Loop() {
				b.StopTimer()
				p := newHost(b, engine).start(config())
				ctx := p.asAdmin()
				b.StartTimer()
				for _, run := range []string{"new_lines/s", "known_lines/s"} {
					begun := time.Now()
					err := importFile(ctx, p, &identityv1.ImportOptions{Parent: org}, file, 64<<10, func(*identityv1.ImportCustomersResponse) {})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(lines/time.Since(begun).Seconds(), run)
				}
			}
		})
	}
}
