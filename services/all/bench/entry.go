package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"guildhall.dev/pkg/conf"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/all/internal/stage"
)

// loginPassword is what all accounts of a run have.
const loginPassword = "a bench is not a bank, nor a pew"

func mail(i int) string { return fmt.Sprintf("u%d@bench.invalid", i) }

// entry is the service that people log in at, and who does.
type entry struct {
	server  *process
	on      string // what it stores in
	conns   []*grpc.ClientConn
	clients []identityv1.AuthServiceClient
}

// open starts the service, with accounts that have passwords.
func (l *Login) open(r *run, configured *conf.Process) (e *entry, err error) {
	e = &entry{on: "bbolt"}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	var env []string
	if strings.HasPrefix(configured.Store, "postgres") {
		e.on, env = "PostgreSQL", append(env, "GUILDHALL_STORE="+configured.Store)
	}
	shown := &console{to: r.notes}
	quiet := *r
	quiet.notes = shown
	if e.server, err = quiet.spawn("identity", env, "serve", "--target=identity,permission",
		"--identity.bootstrap.organization=bench", "--identity.sessions.per_account=1000", "--identity.passwords.wait=30s",
		fmt.Sprintf("--identity.passwords.time=%d", hashTime), fmt.Sprintf("--identity.passwords.memory=%d", hashMemory)); err != nil {
		return e, err
	}
	for range l.Connections {
		conn, err := stage.Dial(e.server.At.GRPC, bearer(""))
		if err != nil {
			return e, err
		}
		e.conns, e.clients = append(e.conns, conn), append(e.clients, identityv1.NewAuthServiceClient(conn))
	}
	fmt.Fprintf(r.notes, "making %d accounts\n", l.Accounts)
	return e, e.people(r.ctx, l.Accounts, shown)
}

func (e *entry) close() {
	for _, c := range e.conns {
		c.Close()
	}
	if e.server != nil {
		e.server.Kill()
	}
}

// people makes the accounts, as an administrator and they themselves do.
func (e *entry) people(ctx context.Context, n int, shown *console) error {
	password, err := shown.password()
	if err != nil {
		return err
	}
	tokens, err := e.clients[0].Login(ctx, &identityv1.LoginRequest{
		Organization: home, Identifier: administrator, Password: password, NewPassword: loginPassword,
	})
	if err != nil {
		return err
	}
	conn, err := stage.Dial(e.server.At.GRPC, bearer(tokens.GetAccessToken()))
	if err != nil {
		return err
	}
	defer conn.Close()
	customers, auth := identityv1.NewCustomerServiceClient(conn), identityv1.NewAuthServiceClient(conn)
	if err := stage.Await(ctx, "the administrator may act", time.Minute, func() (bool, error) {
		_, err := customers.ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: home})
		return err == nil, ctx.Err()
	}); err != nil {
		return err
	}
	return each(ctx, n, func(ctx context.Context, i int) error {
		c, err := customers.CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: home, Customer: &identityv1.Customer{Email: mail(i)}})
		if err != nil {
			return err
		}
		invitation, err := auth.CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName()})
		if err != nil {
			return err
		}
		_, err = auth.AcceptInvitation(ctx, &identityv1.AcceptInvitationRequest{Code: invitation.GetCode(), Password: loginPassword})
		return err
	})
}

// bearer is an access token; the empty one is nobody's.
type bearer string

var _ credentials.PerRPCCredentials = bearer("")

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return false }

// console is a process's standard error, which shows the first password once. It
// passes on what was written behind the password.
type console struct {
	to   io.Writer
	mu   sync.Mutex
	seen bytes.Buffer
}

// Write implements io.Writer.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found() != "" {
		return c.to.Write(b)
	}
	return c.seen.Write(b)
}

var oneTime = regexp.MustCompile(`one-time password +([a-z2-7-]+)\n`)

func (c *console) found() string {
	if m := oneTime.FindSubmatch(c.seen.Bytes()); m != nil {
		return string(m[1])
	}
	return ""
}

func (c *console) password() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.found(); p != "" {
		return p, nil
	}
	return "", fmt.Errorf("bench: the service showed no one-time password; is its store empty? It said:\n%s", c.seen.String())
}
