// Package feedback is the service that hears customers out: surveys with
// their scores, and complaints from receipt to close.
//
// Its rules are in internal/survey and internal/complaint; see README.md for
// what it owns and how to run it.
package feedback

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/subjectdata"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/feedback/internal/api"
	"guildhall.dev/services/feedback/internal/complaint"
	"guildhall.dev/services/feedback/internal/customer"
	"guildhall.dev/services/feedback/internal/survey"
)

// name is the service's name and that of its configuration section.
const name = "feedback"

// Builder describes the service to a process. It has no configuration of its
// own.
func Builder() serve.Builder {
	return serve.Builder{
		Name: name,
		Build: func(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
			s, err := New(ctx, kit)
			if err != nil {
				return nil, err // not a nil *Service in an interface
			}
			return s, nil
		},
	}
}

// Service is the running service. See serve.Service for its methods.
type Service struct {
	journal *journal.Journal
	api     *api.Server
}

// New opens the store and returns the service.
func New(ctx context.Context, kit *serve.Kit) (*Service, error) {
	surveys, complaints, books := survey.New(), complaint.New(), subjectdata.NewBooks()
	tables := slices.Concat(surveys.Tables(), complaints.Tables(), books.Tables())
	j, err := journal.Open(ctx, kit, tables, migrations(surveys))
	if err != nil {
		return nil, err
	}
	return &Service{
		journal: j,
		api: &api.Server{
			Journal:    j,
			Surveys:    surveys,
			Complaints: complaints,
			Customers:  customer.New(getCustomer(identityv1.NewCustomerServiceClient(kit.Dial("identity")))),
			Refuse:     books.Refuse,
			Subjects:   newSubjects(kit, j, books, surveys, complaints),
			Events:     feed.NewServer(j.Feed),
			Audit:      audit.NewServer(j.Audit),
		},
	}, nil
}

func getCustomer(client identityv1.CustomerServiceClient) func(context.Context, string) (*identityv1.Customer, error) {
	return func(ctx context.Context, name string) (*identityv1.Customer, error) {
		return client.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: name})
	}
}

// Name returns "feedback".
func (s *Service) Name() string { return name }

// Register registers the handlers.
func (s *Service) Register(r grpc.ServiceRegistrar) { s.api.Register(r) }

// Run does the background work until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.journal.Run(ctx) })
	g.Go(func() error { return s.api.Subjects.Run(ctx) })
	return g.Wait()
}

// Ready reports whether the store can serve.
func (s *Service) Ready(ctx context.Context) error { return s.journal.Ready(ctx) }

// OnDenied keeps a refused call in the audit log.
func (s *Service) OnDenied(ctx context.Context, r authz.Request, method string) {
	s.journal.OnDenied(ctx, r, method)
}

// Close has nothing to release: the process closes the store.
func (s *Service) Close() error { return nil }
