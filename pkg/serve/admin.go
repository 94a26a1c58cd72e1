package serve

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"guildhall.dev/pkg/conf"
)

// adminHandler is the admin server: for operators and probes, without a login,
// on an address of its own.
func (p *Process) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", p.ready)
	mux.Handle("GET /metrics", p.telemetry.Handler())
	mux.HandleFunc("GET /configz", p.configz)
	mux.HandleFunc("GET /backup", p.listBackups)
	mux.HandleFunc("POST /backup", p.backup)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s %s\n/livez /readyz /metrics /configz /backup /debug/pprof/\n", p.program, version())
	})
	return http.NewCrossOriginProtection().Handler(localNames(mux))
}

// localNames refuses requests for a host name other than localhost when they
// come over the loopback: a web page that rebinds its own name to 127.0.0.1
// would else read profiles from an operator's browser.
func localNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		isName := net.ParseIP(strings.Trim(host, "[]")) == nil && host != "localhost" && !strings.HasSuffix(host, ".localhost")
		if local != nil && local.IP.IsLoopback() && isName {
			http.Error(w, "ask by address or as localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Process) configz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	if err := conf.Print(w, p.sections...); err != nil {
		p.logger.WarnContext(r.Context(), "writing /configz", "error", err)
	}
}

// httpServer sets the limits that keep slow clients from holding connections.
// There is no write timeout: streams and backups are long.
func httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}
