package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

// Addresses are what the process listens on, as host:port; empty for a server
// it does not have. With port 0 in the configuration these hold the port that
// was chosen.
type Addresses struct {
	GRPC  string `json:"grpc,omitempty"`
	HTTP  string `json:"http,omitempty"`
	Admin string `json:"admin"`
}

// Reasons of errors about addresses.
const (
	// ReasonAddressInUse: another process listens there (Precondition).
	ReasonAddressInUse = "ADDRESS_IN_USE"
	// ReasonAddressUnusable: this machine cannot listen there (Precondition).
	ReasonAddressUnusable = "ADDRESS_UNUSABLE"
)

// listeners are the open ports of a process; nil where it needs none.
type listeners struct{ grpc, http, admin net.Listener }

// listen opens all ports or none.
func listen(ctx context.Context, cfg *conf.Process, grpc, http bool) (l listeners, err error) {
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.admin, err = listenOn(ctx, "process.admin.address", cfg.Admin.Address); err != nil {
		return l, err
	}
	if grpc {
		if l.grpc, err = listenOn(ctx, "process.grpc.address", cfg.GRPC.Address); err != nil {
			return l, err
		}
	}
	if http {
		if l.http, err = listenOn(ctx, "process.http.address", cfg.HTTP.Address); err != nil {
			return l, err
		}
	}
	return l, nil
}

func listenOn(ctx context.Context, key, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errs.New(errs.Precondition, ReasonAddressInUse,
			fmt.Sprintf("address %s is in use: stop the other process or set %s", address, key), errs.Cause(err))
	case errors.Is(err, syscall.EACCES):
		return nil, errs.New(errs.Precondition, ReasonAddressUnusable,
			fmt.Sprintf("this user may not listen on %s: choose a port above 1023 in %s", address, key), errs.Cause(err))
	default:
		return nil, errs.New(errs.Precondition, ReasonAddressUnusable,
			fmt.Sprintf("this machine cannot listen on %s: set %s to one of its own addresses", address, key), errs.Cause(err))
	}
}

func (l listeners) addresses() Addresses {
	return Addresses{GRPC: addressOf(l.grpc), HTTP: addressOf(l.http), Admin: addressOf(l.admin)}
}

func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// close is for a start that failed; servers close the listeners they serve.
func (l listeners) close() {
	for _, each := range []net.Listener{l.grpc, l.http, l.admin} {
		if each != nil {
			each.Close()
		}
	}
}
