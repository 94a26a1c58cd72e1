package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"guildhall.dev/pkg/serve"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Directory is `guildhall bench directory`: how quickly customers are found, and
// how that grows with how many there are.
//
// Identity is measured on a new bbolt file, or, where the configuration says
// postgres:// (GUILDHALL_STORE), in that database, which has to be empty. Each
// call is the administrator's: it is authenticated, permitted and answered as
// any.
type Directory struct {
	Sizes    []int         `default:"10000,100000,1000000" help:"How many customers there are, one measurement after the other."`
	Callers  int           `default:"4" help:"How many callers at a time."`
	Duration time.Duration `default:"2s" help:"How long each kind of question is asked."`
	Page     int32         `default:"20" help:"Customers of a page."`
}

// mostP99Search is what a page may take, at the 99th percentile.
const mostP99Search = 10 * time.Millisecond

// Run measures.
func (d *Directory) Run(ctx context.Context, env *serve.Env) error {
	if len(d.Sizes) == 0 || slices.Min(d.Sizes) < 100 || !slices.IsSorted(d.Sizes) || d.Callers < 1 || d.Duration <= 0 || d.Page < 1 {
		return errors.New("bench: sizes grow from at least 100; callers, duration and page are positive")
	}
	r, end, err := newRun(ctx, env)
	if err != nil {
		return err
	}
	defer end()
	e, err := r.enterprise()
	if err != nil {
		return err
	}
	defer e.close()
	m := &searched{run: r, Directory: d, enterprise: e, customers: identityv1.NewCustomerServiceClient(e.admin)}
	return m.measure()
}

// searched is a directory under measurement.
type searched struct {
	*run
	*Directory
	*enterprise
	customers identityv1.CustomerServiceClient
	present   int
}

func (m *searched) measure() error {
	t := tabwriter.NewWriter(m.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(m.out, "customers on %s, pages of %d, %d callers\n\n", m.on, m.Page, m.Callers)
	fmt.Fprintln(t, "customers\tasked for\tpages/s\tp50\tp99\tfound\tp99 of the first size\t")
	first := make(map[string]time.Duration)
	worst := time.Duration(0)
	for _, size := range m.Sizes {
		begun, before := time.Now(), m.present
		if err := m.grow(size); err != nil {
			return err
		}
		fmt.Fprintf(m.notes, "imported %d customers, %.0f/s\n", size-before, float64(size-before)/time.Since(begun).Seconds())
		for _, q := range questions {
			f, found, err := m.ask(q)
			if err != nil {
				return fmt.Errorf("%s: %w", q.what, err)
			}
			if _, ok := first[q.what]; !ok {
				first[q.what] = f.p99
			}
			worst = max(worst, f.p99)
			fmt.Fprintf(t, "%d\t%s\t%.0f\t%s\t%s\t%.1f\t%.1f\t\n", size, q.what, f.perSecond,
				f.p50.Round(time.Microsecond), f.p99.Round(time.Microsecond), found, float64(f.p99)/float64(first[q.what]))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return verdictOn(m.out, worst)
}

func verdictOn(w io.Writer, worst time.Duration) error {
	verdict := "met"
	if worst > mostP99Search {
		verdict = "missed"
	}
	_, err := fmt.Fprintf(w, "\nthe slowest p99 is %s (at most %s)  %s\n", worst.Round(time.Microsecond), mostP99Search, verdict)
	return err
}

// question is a filter about a customer of a number, one of so many.
type question struct {
	what   string
	filter func(i int) string
}

var questions = []question{
	{"mail address", func(i int) string { return fmt.Sprintf("email = %q", person(i).email) }},
	{"phone number", func(i int) string { return fmt.Sprintf("phone = %q", person(i).phone) }},
	{"external id", func(i int) string { return fmt.Sprintf("external_id = %q", person(i).id) }},
	{"whole name", func(i int) string { return fmt.Sprintf("display_name:%q", person(i).name) }},
	{"Chinese family name", func(i int) string { return fmt.Sprintf("display_name:%q", families[i%len(families)].han) }},
	{"pinyin", func(i int) string { return fmt.Sprintf("display_name:%q", families[i%len(families)].pinyin) }},
	{"family name in a country", func(i int) string {
		return fmt.Sprintf("display_name:%q AND country = %q", families[i%len(families)].han, countries[i/7%len(countries)])
	}},
	{"country and state", func(i int) string {
		return fmt.Sprintf(`country = %q AND state = "PENDING"`, countries[i%len(countries)])
	}},
	{"one country, another state", func(i int) string {
		return fmt.Sprintf(`country = %q AND state = "ACTIVE"`, countries[i%len(countries)])
	}},
}

// ask asks one kind of question about random customers, and returns how many a
// page had.
func (m *searched) ask(q question) (figures, float64, error) {
	var stop atomic.Bool
	var pages, found atomic.Int64
	end := time.AfterFunc(m.Duration, func() { stop.Store(true) })
	defer end.Stop()
	f, err := m.figures(m.ctx, m.Callers, 1, func(_ int, r *rand.Rand, took func(time.Duration)) error {
		for asked := false; !asked || !stop.Load(); asked = true {
			begun := time.Now()
			resp, err := m.customers.ListCustomers(m.ctx, &identityv1.ListCustomersRequest{
				Parent: m.organization, PageSize: m.Page, Filter: q.filter(r.IntN(m.present)),
			})
			if err != nil {
				return err
			}
			took(time.Since(begun))
			pages.Add(1)
			found.Add(int64(len(resp.GetCustomers())))
		}
		return nil
	})
	return f, float64(found.Load()) / float64(max(pages.Load(), 1)), err
}
