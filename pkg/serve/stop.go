package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
)

// closeGrace is what closing may take after the drain's deadline: stores wait
// for transactions, which are short.
const closeGrace = 2 * time.Second

// ReasonDrainDeadline is the reason of a stop that cut calls off
// (DeadlineExceeded).
const ReasonDrainDeadline = "DRAIN_DEADLINE"

// Stop drains the process and closes everything, within the configured drain
// timeout and a little. It is called once. The error says what was cut off or
// did not close; the process is over either way.
func (p *Process) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.Drain.Timeout)
	defer cancel()
	last, cancelLast := context.WithTimeout(context.Background(), p.cfg.Drain.Timeout+closeGrace)
	defer cancelLast()

	p.ready.draining.Store(true)
	p.health.Shutdown()
	p.logger.Info("draining", "calls", p.drain.active.Load(), "timeout", p.cfg.Drain.Timeout)
	sleep(ctx, p.cfg.Drain.LameDuck)

	// Edges first, then the network's server, then what runs inside. Each step
	// gets what time is left; none is left out.
	p.drain.begin(p.cfg.Drain.Streams)
	cut := max(p.drainEdge(ctx), p.drainGRPC(ctx, p.network))
	p.endRuns()
	err := within(last, "background work", func() error { p.running.Wait(); return nil })
	cut = max(cut, p.drainGRPC(ctx, p.memory))
	p.drain.cutNow()
	if cut > 0 {
		err = errors.Join(errs.New(errs.DeadlineExceeded, ReasonDrainDeadline,
			fmt.Sprintf("the drain deadline of %s passed: %d calls were cut off", p.cfg.Drain.Timeout, cut)), err)
	}
	return errors.Join(err, within(last, "closing", func() error { return p.release(last) }))
}

// drainEdge ends the HTTP server: it waits for requests, also for those whose
// connection was taken over, until ctx ends, and returns how many it cut off.
func (p *Process) drainEdge(ctx context.Context) (cut int64) {
	if p.edge == nil {
		return 0
	}
	err := p.edge.Shutdown(ctx)
	if err == nil {
		err = within(ctx, "requests", func() error { p.drain.requests.Wait(); return nil })
	}
	if err != nil {
		cut = p.drain.active.Load()
		p.edge.Close()
	}
	return cut
}

// drainGRPC ends a server, gently until ctx ends, then hard, and returns how
// many calls it cut off.
func (p *Process) drainGRPC(ctx context.Context, server *grpc.Server) (cut int64) {
	if server == nil {
		return 0
	}
	done := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		cut = p.drain.active.Load()
		server.Stop() // which also ends GracefulStop
		<-done
	}
	return cut
}

// within waits for fn no longer than ctx. An fn that takes longer is left
// behind: the process is about to exit.
func within(ctx context.Context, what string, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errs.New(errs.DeadlineExceeded, ReasonDrainDeadline, what+" did not end in time")
	}
}

// release closes everything that start opened, in reverse. It also serves a
// start that failed halfway.
func (p *Process) release(ctx context.Context) error {
	p.endRuns()
	var err error
	for _, u := range slices.Backward(p.units) {
		err = errors.Join(err, u.close())
	}
	if p.dialer != nil {
		p.dialer.close()
		p.dialer.memory.Close()
	}
	err = errors.Join(err, p.redis.close())
	if p.admin != nil {
		// Last, so that /readyz says what goes on while it goes on.
		err = errors.Join(err, ignoreClosed(p.admin.Close()))
	}
	p.servers.Wait()
	if p.telemetry != nil {
		if e := p.telemetry.Close(ctx); e != nil {
			// A collector that is away must not make an exit look bad.
			p.logger.Warn("the last traces were not delivered", "error", e)
		}
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// sleep waits, but not past the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
