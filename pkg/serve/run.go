package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// secondSignal ends a drain at once.
type secondSignal struct{ number int }

func (s *secondSignal) Error() string { return "a second signal: exiting at once" }

// serve is the serve command: it starts the process, waits for a reason to
// stop, and stops it.
func (e *Env) serve(ctx context.Context, targets []string, readyFile string) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	if readyFile != "" {
		os.Remove(readyFile) // an earlier process's would speak for this one
	}

	// A signal during a start, which may wait for a lock or a migration, ends it.
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	type started struct {
		p   *Process
		err error
	}
	start := make(chan started, 1)
	go func() {
		p, err := e.start(starting, targets)
		start <- started{p, err}
	}()
	var s started
	interrupted := false
	select {
	case s = <-start:
	case <-signals:
		interrupted = true
		cancel()
		select {
		case s = <-start:
		case second := <-signals:
			return newSecondSignal(second)
		}
	}
	if s.err != nil {
		if interrupted && errors.Is(s.err, context.Canceled) {
			return nil
		}
		return s.err
	}
	var cause error
	if !interrupted {
		cause = s.p.wait(ctx, signals, e.Stderr, readyFile)
	}
	return s.p.stop(signals, cause)
}

// wait announces the process when it is ready and returns when it has to stop:
// nil for a signal or the end of ctx, else the failure.
func (p *Process) wait(ctx context.Context, signals <-chan os.Signal, stderr io.Writer, readyFile string) error {
	ready := p.isReady
	for {
		select {
		case <-ready:
			ready = nil
			if err := p.announce(stderr, readyFile); err != nil {
				return err
			}
		case s := <-signals:
			p.logger.Info("stopping", "signal", s.String())
			return nil
		case <-ctx.Done():
			return nil
		case err := <-p.failed:
			p.logger.Error("stopping", "error", err)
			return err
		}
	}
}

// stop stops the process; a signal while it does so is the second one.
func (p *Process) stop(signals <-chan os.Signal, cause error) error {
	done := make(chan error, 1)
	go func() { done <- p.Stop() }()
	select {
	case err := <-done:
		return errors.Join(cause, err)
	case s := <-signals:
		return newSecondSignal(s)
	}
}

func newSecondSignal(s os.Signal) error {
	number := int(syscall.SIGINT)
	if n, ok := s.(syscall.Signal); ok {
		number = int(n)
	}
	return &secondSignal{number}
}

// announce says where the process is to be found.
func (p *Process) announce(stderr io.Writer, readyFile string) error {
	var where strings.Builder
	fmt.Fprintf(&where, "%s is ready after %s\n", p.program, time.Since(p.started).Round(time.Millisecond))
	if p.addresses.HTTP != "" {
		base := scheme(p.cfg.HTTP.TLS.Enabled()) + "://" + p.addresses.HTTP
		fmt.Fprintf(&where, "  HTTP   %s (how to use it: %s/docs)\n", base, base)
	}
	if p.addresses.GRPC != "" {
		fmt.Fprintf(&where, "  gRPC   %s\n", p.addresses.GRPC)
	}
	fmt.Fprintf(&where, "  admin  http://%s\n", p.addresses.Admin)
	fmt.Fprint(stderr, where.String())
	if readyFile == "" {
		return nil
	}
	return writeReadyFile(readyFile, p.addresses)
}

func scheme(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// writeReadyFile writes the addresses under another name first, so that a
// reader that waits for the file never finds half of it.
func writeReadyFile(path string, a Addresses) error {
	text, err := json.Marshal(struct {
		Addresses
		PID int `json:"pid"`
	}{a, os.Getpid()})
	if err != nil {
		return fmt.Errorf("encoding the addresses: %w", err)
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	if err := os.WriteFile(temp, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	return nil
}
