package bench

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/all/internal/stage"
)

// loginPassword is what all accounts of a run have.
const loginPassword = "a bench is not a bank, nor a pew"

func mail(i int) string { return fmt.Sprintf("u%d@bench.invalid", i) }

// entry is the service that people log in at, and who does.
type entry struct {
	*enterprise
	idle    float64 // resident bytes before anybody logs in
	conns   []*grpc.ClientConn
	clients []identityv1.AuthServiceClient
}

// open starts the service, with accounts that have passwords.
func (l *Login) open(r *run) (e *entry, err error) {
	e = &entry{}
	e.enterprise, err = r.enterprise("--identity.sessions.per_account=1000", "--identity.passwords.wait=30s",
		fmt.Sprintf("--identity.passwords.time=%d", hashTime), fmt.Sprintf("--identity.passwords.memory=%d", hashMemory))
	if err != nil {
		return nil, err
	}
	for range l.Connections {
		conn, err := stage.Dial(e.At.GRPC, anybody{})
		if err != nil {
			e.close()
			return nil, err
		}
		e.conns, e.clients = append(e.conns, conn), append(e.clients, identityv1.NewAuthServiceClient(conn))
	}
	if e.idle, err = e.resident(r.ctx); err != nil {
		e.close()
		return nil, err
	}
	fmt.Fprintf(r.notes, "making %d accounts\n", l.Accounts)
	if err := e.people(r.ctx, l.Accounts); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *entry) close() {
	for _, c := range e.conns {
		c.Close()
	}
	e.enterprise.close()
}

// people makes the accounts, as an administrator and they themselves do.
func (e *entry) people(ctx context.Context, n int) error {
	customers, auth := identityv1.NewCustomerServiceClient(e.admin), identityv1.NewAuthServiceClient(e.admin)
	return each(ctx, n, func(ctx context.Context, i int) error {
		c, err := customers.CreateCustomer(ctx, &identityv1.CreateCustomerRequest{
			Parent: e.organization, Customer: &identityv1.Customer{Email: mail(i)},
		})
		if err != nil {
			return err
		}
		invitation, err := auth.CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName(), ShowCode: true})
		if err != nil {
			return err
		}
		_, err = e.clients[0].AcceptInvitation(ctx, &identityv1.AcceptInvitationRequest{Code: invitation.GetCode(), Password: loginPassword})
		return err
	})
}
