package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"guildhall.dev/pkg/errs"
)

// healthTimeout bounds the health command: what answers later is not healthy.
const healthTimeout = 3 * time.Second

type healthCmd struct{}

// Run asks the running process whether it is ready and prints what it says. It
// is for container health checks: an image needs no other program for them.
func (healthCmd) Run(ctx context.Context, env *Env) error {
	cfg, err := env.Load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	address := "http://" + reachable(cfg.Admin.Address) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("the address of the admin server: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errs.New(errs.Unavailable, "PROCESS_AWAY", "no process answers at "+address, errs.Cause(err))
	}
	defer resp.Body.Close()
	if _, err := io.Copy(env.Stdout, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return fmt.Errorf("reading %s: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New("the process is not ready")
	}
	return nil
}
