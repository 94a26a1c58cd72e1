package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/all/internal/stage"
)

// enterprise is identity and permission in one process, with an organisation
// whose administrator is logged in: for what takes a caller who may do all.
type enterprise struct {
	*process
	on            string // what it stores in
	administrator string
	organization  string
	admin         *grpc.ClientConn
}

// oneTime is how a first start shows the administrator's password.
var oneTime = regexp.MustCompile(`administrator +(\S+)\n +one-time password +(\S+)\n`)

// enterprise starts the process, on bbolt or in the PostgreSQL of the
// configuration, which has to be empty, with more arguments.
func (r *run) enterprise(args ...string) (e *enterprise, err error) {
	said := &record{to: r.notes}
	p := stage.Program{
		Binary: r.program, Name: "suite", Folder: r.folder, Notes: said,
		Args: append([]string{"serve", "--target=identity,permission", "--log.level=warn",
			"--auth.cluster_key_file=" + filepath.Join(r.folder, "cluster.key")}, args...),
	}
	e = &enterprise{on: "bbolt"}
	if strings.HasPrefix(r.configured.Store, "postgres") {
		e.on, p.Env = "PostgreSQL", append(p.Env, "GUILDHALL_STORE="+r.configured.Store)
	}
	if urls := r.configured.Redis.URL; len(urls) > 0 {
		e.on, p.Env = e.on+" + Redis", append(p.Env, "GUILDHALL_REDIS_URL="+strings.Join(urls, ","))
	}
	started, err := stage.Spawn(r.ctx, p)
	if err != nil {
		return nil, err
	}
	e.process = &process{Process: started, answers: true}
	if err := e.logIn(r.ctx, said.String()); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *enterprise) close() {
	if e.admin != nil {
		e.admin.Close()
	}
	e.Kill()
}

// logIn logs the administrator in with the password of the first start.
func (e *enterprise) logIn(ctx context.Context, said string) error {
	found := oneTime.FindStringSubmatch(said)
	if found == nil {
		return errors.New("bench: the store is not empty: no first administrator was made")
	}
	e.administrator = found[1]
	e.organization = strings.Join(strings.SplitN(e.administrator, "/", 3)[:2], "/")
	open, err := stage.Dial(e.At.GRPC, anybody{})
	if err != nil {
		return err
	}
	tokens, err := identityv1.NewAuthServiceClient(open).Login(ctx, &identityv1.LoginRequest{
		Organization: e.organization, Identifier: e.administrator, Password: found[2], NewPassword: "measured and thrown away",
	})
	if err != nil {
		open.Close()
		return err
	}
	e.admin, err = stage.Dial(e.At.GRPC, &session{auth: identityv1.NewAuthServiceClient(open), tokens: tokens, since: time.Now()})
	if err != nil {
		return err
	}
	return stage.Await(ctx, "the administrator may act", time.Minute, func() (bool, error) {
		_, err := identityv1.NewCustomerServiceClient(e.admin).ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: e.organization})
		return err == nil, nil
	})
}

// session are the credentials of somebody who is logged in, refreshed in time.
type session struct {
	auth identityv1.AuthServiceClient

	mu     sync.Mutex
	tokens *identityv1.TokenSet
	since  time.Time
}

var _ credentials.PerRPCCredentials = (*session)(nil)

// halfLife is when a token of five minutes is changed for another.
const halfLife = 2 * time.Minute

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s *session) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.since) > halfLife {
		tokens, err := s.auth.RefreshToken(ctx, &identityv1.RefreshTokenRequest{RefreshToken: s.tokens.GetRefreshToken()})
		if err != nil {
			return nil, err
		}
		s.tokens, s.since = tokens, time.Now()
	}
	return map[string]string{"authorization": "Bearer " + s.tokens.GetAccessToken()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (*session) RequireTransportSecurity() bool { return false }

// anybody are the credentials of nobody in particular.
type anybody struct{}

func (anybody) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return nil, nil
}
func (anybody) RequireTransportSecurity() bool { return false }

// record passes on what a process says, and keeps it.
type record struct {
	to io.Writer

	mu   sync.Mutex
	said bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said.Write(b)
	return r.to.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}
