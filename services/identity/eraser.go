package identity

import (
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/eraser"
)

// newEraser returns what erases customers.
func newEraser(c *api.Centres, book *erasure.Book, kit *serve.Kit) (*eraser.Driver, error) {
	own := erasure.NewEraser(erasure.Config{
		Service: name, Book: book, Journal: c.Journal,
		Steps: []erasure.Step{c.Accounts.EraseTombstone, c.Accounts.EraseRest, c.Rights.Erase, c.Holds.Erase, c.Merges.Erase},
	})
	services := []eraser.Service{{Name: name, Erase: withMerged(c, own.Erase)}}
	for _, s := range sisters(kit) {
		services = append(services, eraser.Service{Name: s.name, Erase: withMerged(c, s.erase)})
	}
	return eraser.New(eraser.Config{
		Store: c.Store, Journal: c.Journal, Accounts: c.Accounts, Requests: c.Rights, Standing: c.Standings.Deliver,
		Services: services, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
}
