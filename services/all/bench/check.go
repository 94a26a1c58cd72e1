package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/all/internal/stage"
)

// Check is `guildhall bench check`: CheckService.Check and BatchCheck on the
// data set of Dataset, uniformly random, half of the answers no, beside an
// empty gRPC call of the same message sizes.
//
// The permission service is measured on a new bbolt file, or, where the
// configuration says postgres:// (GUILDHALL_STORE), in that database, which
// should be empty, and with the Redis of the configuration
// (GUILDHALL_REDIS_URL).
type Check struct {
	Callers     []int         `default:"1,16,64" help:"How many callers at a time, one measurement each."`
	Duration    time.Duration `default:"3s" help:"How long each round lasts."`
	Rounds      int           `default:"3" help:"Rounds of each measurement, in turns with the empty call; the median counts."`
	Users       int           `default:"10000" help:"Accounts of the data set."`
	Connections int           `default:"4" help:"Connections that callers share."`
}

// batch is how many questions one BatchCheck asks.
const batch = 50

// Run measures.
func (c *Check) Run(ctx context.Context, env *serve.Env) error {
	if c.Users < 100 || c.Rounds < 1 || c.Connections < 1 || c.Duration <= 0 || len(c.Callers) == 0 || slices.Min(c.Callers) < 1 {
		return errors.New("bench: at least 100 users, one round, one connection and one caller are needed")
	}
	r, end, err := newRun(ctx, env)
	if err != nil {
		return err
	}
	defer end()
	m, err := c.setUp(r)
	if err != nil {
		return err
	}
	defer m.close()
	cold, err := m.cold(c.Users)
	if err != nil {
		return err
	}
	rows, err := c.measure(m)
	if err != nil {
		return err
	}
	return report(r.out, c, m, cold, rows)
}

// measured are the two servers of a measurement and who asks them.
type measured struct {
	run        *run
	data       Dataset
	permission *process
	empty      *process
	checks     *asker
	nothing    *asker
	standIn    *stage.StandIn
	args, env  []string // of the permission process
	on         string   // what it stores in
	loaded     time.Duration
	before     float64 // resident bytes of the permission process, without grants
}

func (c *Check) setUp(r *run) (m *measured, err error) {
	m = &measured{run: r, data: NewDataset(c.Users)}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.standIn, err = stage.StartIdentity(r.ctx, r.folder); err != nil {
		return m, err
	}
	m.args = []string{
		"serve", "--target=permission", "--auth.cluster_key_file=" + m.standIn.KeyFile,
		"--auth.issuer=" + stage.Issuer, "--services.identity=" + m.standIn.Address,
	}
	m.on = "bbolt"
	if strings.HasPrefix(r.configured.Store, "postgres") {
		m.on, m.env = "PostgreSQL", append(m.env, "GUILDHALL_STORE="+r.configured.Store)
	}
	if urls := r.configured.Redis.URL; len(urls) > 0 {
		m.on, m.env = m.on+" + Redis", append(m.env, "GUILDHALL_REDIS_URL="+strings.Join(urls, ","))
	}
	if m.empty, err = r.spawn("empty", nil, "bench", "empty"); err != nil {
		return m, err
	}
	if m.nothing, err = newAsker(m.empty.At.GRPC, c.Connections, m.standIn); err != nil {
		return m, err
	}
	if err = m.start(c.Connections); err != nil {
		return m, err
	}
	if m.before, err = m.permission.resident(r.ctx); err != nil {
		return m, err
	}
	fmt.Fprintf(r.notes, "loading %s\n", m.data)
	begun := time.Now()
	err = m.load(r.ctx)
	m.loaded = time.Since(begun)
	return m, err
}

// start starts the permission process, again after a restart.
func (m *measured) start(connections int) (err error) {
	if m.permission, err = m.run.spawn("permission", m.env, m.args...); err != nil {
		return err
	}
	if m.checks != nil {
		m.checks.close()
	}
	m.checks, err = newAsker(m.permission.At.GRPC, connections, m.standIn)
	return err
}

func (m *measured) close() {
	for _, a := range []*asker{m.checks, m.nothing} {
		if a != nil {
			a.close()
		}
	}
	for _, p := range []*process{m.permission, m.empty} {
		if p != nil {
			p.Kill()
		}
	}
	if m.standIn != nil {
		m.standIn.Close()
	}
}

// cold restarts the permission service and asks one question about each
// account, which memory does not hold yet.
func (m *measured) cold(users int) (figures, error) {
	fmt.Fprintln(m.run.notes, "restarting, and asking about each account once")
	m.permission.Kill()
	if err := m.start(len(m.checks.clients)); err != nil {
		return figures{}, err
	}
	return m.checks.each(m.run.ctx, m.permission, m.data, users)
}

// row is what one number of callers got.
type row struct {
	callers              int
	empty, check, batchd figures
}

// measure takes the rounds in turns, so that all rows see the same machine.
func (c *Check) measure(m *measured) ([]row, error) {
	if err := m.warm(c.Users); err != nil {
		return nil, err
	}
	var rows []row
	for _, callers := range c.Callers {
		fmt.Fprintf(m.run.notes, "measuring with %d callers\n", callers)
		single, err := m.data.prepare(callers, 1)
		if err != nil {
			return nil, err
		}
		together, err := m.data.prepare(callers, batch)
		if err != nil {
			return nil, err
		}
		var empties, checks, batches []figures
		for range c.Rounds {
			for _, one := range []struct {
				into  *[]figures
				ask   *asker
				of    *process
				asked sheet
			}{{&empties, m.nothing, m.empty, single}, {&checks, m.checks, m.permission, single}, {&batches, m.checks, m.permission, together}} {
				f, err := one.ask.load(m.run.ctx, one.of, one.asked, c.Duration)
				if err != nil {
					return nil, err
				}
				*one.into = append(*one.into, f)
			}
		}
		rows = append(rows, row{callers, median(empties), median(checks), median(batches)})
	}
	return rows, nil
}

// warm asks so much that memory holds all of the data set.
func (m *measured) warm(users int) error {
	_, err := m.checks.each(m.run.ctx, m.permission, m.data, users)
	return err
}
