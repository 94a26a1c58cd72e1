package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
)

// backupTrailer says, after the last byte, that a backup is whole: a stream
// that broke off has no trailer.
const backupTrailer = "Guildhall-Backup"

const backupWhole = "whole"

// listBackups names the services of this process that have a store.
func (p *Process) listBackups(w http.ResponseWriter, _ *http.Request) {
	for _, u := range p.units {
		if u.raw != nil {
			fmt.Fprintln(w, u.Name)
		}
	}
}

// backup streams a snapshot of a service's store. Values are sealed, so a
// backup is worth nothing without the service's keyset, to friend and foe.
func (p *Process) backup(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("service")
	for _, u := range p.units {
		if u.Name != name || u.raw == nil {
			continue
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Trailer", backupTrailer)
		if err := u.raw.Snapshot(r.Context(), w); err != nil {
			p.logger.ErrorContext(r.Context(), "a backup broke off", "service", name, "error", err)
			w.Header().Set(backupTrailer, "broken")
			return
		}
		w.Header().Set(backupTrailer, backupWhole)
		return
	}
	http.Error(w, "no service of this process with a store has this name: see GET /backup", http.StatusNotFound)
}

type backupCmd struct {
	Service []string `placeholder:"NAME,…" help:"Services to back up; all of the running process when not given."`
	Folder  string   `default:"." placeholder:"FOLDER" help:"Folder to write <service>-<time>.backup files to."`
}

// Run asks the running process, which alone may read its stores, and leaves
// only whole files behind.
func (c *backupCmd) Run(ctx context.Context, env *Env) error {
	cfg, err := env.Load()
	if err != nil {
		return err
	}
	admin := &url.URL{Scheme: "http", Host: reachable(cfg.Admin.Address), Path: "/backup"}
	if len(c.Service) == 0 {
		if c.Service, err = backupServices(ctx, admin); err != nil {
			return err
		}
	}
	if err := makeFolder(c.Folder); err != nil {
		return err
	}
	stamp := time.Now().UTC().Format("20060102T150405Z")
	for _, service := range c.Service {
		path := filepath.Join(c.Folder, fmt.Sprintf("%s-%s.backup", service, stamp))
		size, err := fetchBackup(ctx, admin, service, path)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(env.Stdout, "%s: %d bytes in %s\n", service, size, path); err != nil {
			return err
		}
	}
	return nil
}

// reachable turns an address to listen on into one to call.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || (host != "" && (ip == nil || !ip.IsUnspecified())) {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func backupServices(ctx context.Context, admin *url.URL) ([]string, error) {
	resp, err := ask(ctx, http.MethodGet, admin)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("reading the list of stores: %w", err)
	}
	return strings.Fields(string(text)), nil
}

func fetchBackup(ctx context.Context, admin *url.URL, service, path string) (size int64, err error) {
	from := *admin
	from.RawQuery = url.Values{"service": {service}}.Encode()
	resp, err := ask(ctx, http.MethodPost, &from)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part") // mode 0600
	if err != nil {
		return 0, fmt.Errorf("making a file for the backup: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	size, err = io.Copy(temp, resp.Body)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil && resp.Trailer.Get(backupTrailer) != backupWhole {
		err = errors.New("the process ended it early: see its log")
	}
	if err != nil {
		return 0, fmt.Errorf("backing up %s: %w", service, err)
	}
	return size, os.Rename(temp.Name(), path)
}

func ask(ctx context.Context, method string, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("the admin address: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, errs.New(errs.Unavailable, "PROCESS_UNREACHABLE",
			fmt.Sprintf("no process answers on %s: is it running, and is process.admin.address the same as its own?", u.Host), errs.Cause(err))
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // the status alone says enough
		return nil, errs.New(errs.Precondition, "BACKUP_REFUSED", fmt.Sprintf("the process answered %s: %s", resp.Status, strings.TrimSpace(string(text))))
	}
	return resp, nil
}
