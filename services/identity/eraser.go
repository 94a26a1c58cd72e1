package identity

import (
	"context"

	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/eraser"
)

// newEraser returns what erases customers. A service that comes to keep data of
// customers has its line here, and erasures wait for its receipt from then on.
func newEraser(c *api.Centres, book *erasure.Book, kit *serve.Kit) (*eraser.Driver, error) {
	own := erasure.NewEraser(erasure.Config{
		Service: name, Book: book, Journal: c.Journal,
		Steps: []erasure.Step{c.Accounts.EraseRest, c.Rights.Erase, c.Holds.Erase},
	})
	permission := permissionv1.NewPermissionSubjectServiceClient(kit.Dial("permission"))
	return eraser.New(eraser.Config{
		Store: c.Store, Journal: c.Journal, Accounts: c.Accounts, Requests: c.Rights, Standing: c.Standings.Deliver,
		Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
		Services: []eraser.Service{{Name: name, Erase: own.Erase}, {
			Name: "permission", Erase: func(ctx context.Context, customer string) (*subjectv1.ErasureReceipt, error) {
				resp, err := permission.EraseSubject(ctx, &subjectv1.EraseSubjectRequest{Subject: customer})
				return resp.GetReceipt(), err
			},
		}},
	})
}
