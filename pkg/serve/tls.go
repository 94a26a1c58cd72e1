package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

// ReasonTLSFile is the reason of a certificate, key or CA file that cannot be
// used (Precondition).
const ReasonTLSFile = "TLS_FILE_UNUSABLE"

// reloadEvery is how often, at most, files are looked at for a change.
const reloadEvery = time.Second

// reloading makes a value from files and makes it anew when they change. It
// looks at handshakes and not on a goroutine of its own, so there is nothing
// to stop. A change that does not load keeps the last good value: certificate
// and key are two files and are not replaced in one instant.
type reloading[T any] struct {
	files  []string
	load   func() (T, error)
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	value  T
	stamps []stamp
	looked time.Time
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

func newReloading[T any](logger *slog.Logger, load func() (T, error), files ...string) (*reloading[T], error) {
	r := &reloading[T]{files: files, load: load, logger: logger, now: time.Now}
	r.stamps = r.look()
	var err error
	r.value, err = load()
	return r, err
}

func (r *reloading[T]) get() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); now.Sub(r.looked) >= reloadEvery {
		r.looked = now
		if stamps := r.look(); !slices.Equal(stamps, r.stamps) {
			value, err := r.load()
			if err != nil {
				r.logger.Warn("changed TLS files cannot be used; the old ones stay", "error", err)
				return r.value
			}
			r.value, r.stamps = value, stamps
			r.logger.Info("TLS files were reloaded", "files", r.files)
		}
	}
	return r.value
}

func (r *reloading[T]) look() []stamp {
	stamps := make([]stamp, len(r.files))
	for i, file := range r.files {
		if info, err := os.Stat(file); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}

// serverTLS returns the TLS configuration of a server, nil when TLS is off.
func serverTLS(cfg conf.TLS, logger *slog.Logger, protocols ...string) (*tls.Config, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	load := func() (*tls.Config, error) {
		pair, err := loadPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, err
		}
		c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: protocols}
		if cfg.ClientCAFile != "" {
			c.ClientAuth = tls.RequireAndVerifyClientCert
			c.ClientCAs, err = loadCAs(cfg.ClientCAFile)
		}
		return c, err
	}
	files := []string{cfg.CertFile, cfg.KeyFile}
	if cfg.ClientCAFile != "" {
		files = append(files, cfg.ClientCAFile)
	}
	current, err := newReloading(logger, load, files...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.get(), nil },
	}, nil
}

// clientTLS returns a client's TLS configuration. Without a CA file it trusts
// the system's CAs.
func clientTLS(cfg conf.Dial) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}
	var err error
	if cfg.CAFile != "" {
		if c.RootCAs, err = loadCAs(cfg.CAFile); err != nil {
			return nil, err
		}
	}
	if cfg.CertFile != "" {
		pair, err := loadPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// dialCredentials are a gRPC client's transport credentials, whose files
// reload.
func dialCredentials(cfg conf.Dial, logger *slog.Logger) (credentials.TransportCredentials, error) {
	load := func() (credentials.TransportCredentials, error) {
		c, err := clientTLS(cfg)
		return credentials.NewTLS(c), err
	}
	files := slices.DeleteFunc([]string{cfg.CAFile, cfg.CertFile, cfg.KeyFile}, func(f string) bool { return f == "" })
	current, err := newReloading(logger, load, files...)
	if err != nil {
		return nil, err
	}
	return &reloadingCredentials{TransportCredentials: current.get(), current: current}, nil
}

// reloadingCredentials asks for the credentials of the moment at each
// connection.
type reloadingCredentials struct {
	credentials.TransportCredentials
	current *reloading[credentials.TransportCredentials]
}

func (c *reloadingCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.current.get().ClientHandshake(ctx, authority, conn)
}

func (c *reloadingCredentials) Clone() credentials.TransportCredentials {
	return &reloadingCredentials{TransportCredentials: c.TransportCredentials.Clone(), current: c.current}
}

func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	for _, file := range []string{certFile, keyFile} {
		if _, err := os.Stat(file); err != nil {
			return tls.Certificate{}, fileError(file, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return pair, errs.New(errs.Precondition, ReasonTLSFile,
			fmt.Sprintf("%s and %s are not a certificate and its key in PEM", certFile, keyFile), errs.Cause(err))
	}
	return pair, nil
}

func loadCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fileError(file, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errs.New(errs.Precondition, ReasonTLSFile, file+" holds no certificate in PEM")
	}
	return pool, nil
}

func fileError(file string, err error) error {
	problem := "cannot be read"
	if errors.Is(err, os.ErrNotExist) {
		problem = "does not exist"
	}
	return errs.New(errs.Precondition, "FILE_UNUSABLE", fmt.Sprintf("the file %s %s", file, problem), errs.Cause(err))
}
