package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	"guildhall.dev/pkg/seal"
)

// unit is one service in its process.
type unit struct {
	Builder
	overrides conf.Overrides

	service Service
	// raw is the store under the seal: what it copies out is still sealed.
	raw kv.Store
}

// build makes the unit's kit and its service.
func (u *unit) build(ctx context.Context, p *Process) error {
	ring, err := u.openRing(p.cfg)
	if err != nil {
		return fmt.Errorf("service %s: %w", u.Name, err)
	}
	cache, err := p.redis.open(p.cfg.RedisFor(u.overrides))
	if err != nil {
		return fmt.Errorf("service %s: %w", u.Name, err)
	}
	kit := &Kit{
		Name: u.Name, Logger: p.logger.With("service", u.Name),
		Meter: p.telemetry.Meter(u.Name), Tracer: p.telemetry.Tracer(u.Name),
		Ring: ring, Redis: cache, Console: p.console, Clock: time.Now,
		Issuer: p.cfg.Auth.Issuer,
		Folder: filepath.Join(p.cfg.Data, u.Name), SharedKey: p.dialer.cluster.Derive,
		Dial: func(target string) grpc.ClientConnInterface { return p.dialer.dial(u.Builder, target) },
	}
	kit.OpenStore = func(ctx context.Context, tables []string, migrations []kv.Migration) (kv.Store, error) {
		return u.openStore(ctx, p.cfg, kit, tables, migrations)
	}
	service, err := u.Build(ctx, kit)
	if err != nil {
		return fmt.Errorf("service %s: %w", u.Name, err)
	}
	u.service = service
	_, isEdge := service.(Edge)
	switch {
	case service.Name() != u.Name:
		return fmt.Errorf("service %s calls itself %s", u.Name, service.Name())
	case isEdge != u.Edge:
		return fmt.Errorf("service %s: Builder.Edge is %t, but whether it has an HTTP handler is %t", u.Name, u.Edge, isEdge)
	}
	return nil
}

func (u *unit) openRing(cfg *conf.Process) (*seal.Ring, error) {
	file := cfg.KeysetFile(u.Name, u.overrides)
	if err := makeFolder(filepath.Dir(file)); err != nil {
		return nil, err
	}
	return seal.OpenFile(file, seal.Options{KEKFile: cfg.Seal.KEKFile})
}

func (u *unit) openStore(ctx context.Context, cfg *conf.Process, kit *Kit, tables []string, migrations []kv.Migration) (kv.Store, error) {
	if u.raw != nil {
		return nil, errors.New("OpenStore was called twice")
	}
	url, err := cfg.StoreURL(u.overrides)
	if err != nil {
		return nil, fmt.Errorf("the folder of the store: %w", err)
	}
	all := slices.Clone(tables)
	for _, own := range kv.RawTables() { // where Migrate keeps its records
		if !slices.Contains(all, own) {
			all = append(all, own)
		}
	}
	raw, err := kvopen.Open(ctx, url, kvopen.Options{Name: u.Name, Tables: all, Meter: kit.Meter})
	if err != nil {
		return nil, err
	}
	u.raw = raw
	sealed := kit.Ring.Wrap(raw)
	if err := kv.Migrate(ctx, sealed, migrations); err != nil {
		return nil, fmt.Errorf("migrating the store: %w", err) // close() releases raw
	}
	return sealed, nil
}

// close closes the service and then its store.
func (u *unit) close() error {
	var err error
	if u.service != nil {
		err = u.service.Close()
	}
	if u.raw != nil {
		err = errors.Join(err, u.raw.Close())
	}
	if err != nil {
		return fmt.Errorf("closing service %s: %w", u.Name, err)
	}
	return nil
}

// makeFolder makes a folder that only this user reads.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return errs.New(errs.Precondition, "FOLDER_UNUSABLE",
			fmt.Sprintf("the folder %s cannot be made: check its parent and that this user may write there", path), errs.Cause(err))
	}
	return nil
}
