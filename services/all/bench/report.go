package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Targets of checks, as ratios to the empty call of the same run, and of
// batches in decisions for each empty call.
const (
	leastThroughput = 0.85
	mostCPU         = 1.25
	mostP99         = 1.5
	leastBatch      = 500_000.0 / 38_000
)

// report prints the figures and how they stand to the targets.
func report(w io.Writer, c *Check, m *measured, cold figures, rows []row) error {
	resident, err := m.permission.resident(m.run.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s on %s, loaded in %s; %d connections, median of %d rounds of %s\n\n",
		m.data, m.on, m.loaded.Round(time.Millisecond), c.Connections, c.Rounds, c.Duration)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "callers\tcall\tdecisions/s\tp50\tp99\tCPU s/100k\tallocations\tthroughput\tCPU\tp99 ratio\t")
	for _, r := range rows {
		line(t, r.callers, "empty", r.empty, nil)
		line(t, r.callers, "Check", r.check, &r.empty)
		line(t, r.callers, fmt.Sprintf("BatchCheck of %d", batch), r.batchd, &r.empty)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ncold, one question about each account after a restart: %.0f checks/s, p99 %s\n", cold.perSecond, cold.p99.Round(time.Microsecond))
	fmt.Fprintf(w, "memory of the service: %.0f MiB empty, %.0f MiB now\n\n", m.before/(1<<20), resident/(1<<20))
	return targets(w, rows[len(rows)-1])
}

func line(w io.Writer, callers int, name string, f figures, beside *figures) {
	fmt.Fprintf(w, "%d\t%s\t%.0f\t%s\t%s\t%.2f\t%.1f\t", callers, name, f.perSecond,
		f.p50.Round(time.Microsecond), f.p99.Round(time.Microsecond), f.cpu, f.mallocs)
	if beside != nil {
		fmt.Fprintf(w, "%.2f\t%.2f\t%.2f\t", f.perSecond/beside.perSecond, f.cpu/beside.cpu, float64(f.p99)/float64(beside.p99))
	} else {
		fmt.Fprint(w, "\t\t\t")
	}
	fmt.Fprintln(w)
}

// targets says how the row with the most callers stands to the targets.
func targets(w io.Writer, r row) error {
	verdict := func(met bool) string {
		if met {
			return "met"
		}
		return "missed"
	}
	throughput, cpu := r.check.perSecond/r.empty.perSecond, r.check.cpu/r.empty.cpu
	p99, batches := float64(r.check.p99)/float64(r.empty.p99), r.batchd.perSecond/r.empty.perSecond
	_, err := fmt.Fprintf(w, `with %d callers, beside the empty call:
  throughput  %.2f  (at least %.2f)  %s
  CPU         %.2f  (at most %.2f)   %s
  p99         %.2f  (at most %.2f)   %s
  BatchCheck  %.1f decisions for each empty call  (at least %.1f)  %s
`, r.callers, throughput, leastThroughput, verdict(throughput >= leastThroughput), cpu, mostCPU, verdict(cpu <= mostCPU),
		p99, mostP99, verdict(p99 <= mostP99), batches, leastBatch, verdict(batches >= leastBatch))
	return err
}
