package bench

import (
	"fmt"
	"io"
	"runtime"
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

// Targets of logins: their rate as a ratio to the bare hash, and what they take
// of memory beyond an idle service, in hashes for each slot of the pool. A hash
// that is done is garbage until the next collection, so some lie about.
const (
	leastLogins = 0.9
	mostHashes  = 4
)

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// report prints the figures of logins and how they stand to the targets.
func (l *Login) report(w io.Writer, e *entry, r logins) error {
	slots := float64(runtime.GOMAXPROCS(0))
	ratio := r.login.perSecond / r.bare.perSecond
	taken := (r.peak - r.idle) / (hashMemory << 10)
	_, err := fmt.Fprintf(w, `%d accounts on %s, %d callers, hashes of %d MiB; median of %d rounds of %s

bare hash  %.1f hashes/s on %.0f processors
logins     %.1f logins/s, p50 %s, p99 %s, %.1f ms of CPU each
memory     %.0f MiB idle, %.0f MiB at most; a pool of all callers would take %.0f MiB

beside the bare hash:
  logins  %.2f  (at least %.2f)  %s
  memory  %.1f hashes beyond an idle service  (at most %.0f, %d for each slot of the pool)  %s
`, l.Accounts, e.on, l.Callers, hashMemory>>10, l.Rounds, l.Duration,
		r.bare.perSecond, slots, r.login.perSecond, r.login.p50.Round(time.Millisecond), r.login.p99.Round(time.Millisecond), r.login.cpu/100,
		r.idle/(1<<20), r.peak/(1<<20), float64(l.Callers*hashMemory)/(1<<10),
		ratio, leastLogins, verdict(ratio >= leastLogins), taken, mostHashes*slots, mostHashes, verdict(taken <= mostHashes*slots))
	return err
}

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
