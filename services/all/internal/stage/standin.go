package stage

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Issuer is the issuer of tokens on stage.
const Issuer = "https://guildhall.invalid"

// StandIn is as much of service identity as the permission service needs: keys
// of tokens, and a feed that tells who is in which team. With it the measured
// process does nothing but what is measured, and ten thousand accounts cost no
// password hashes.
type StandIn struct {
	identityv1.AuthServiceServer
	identityv1.OrganizationServiceServer

	// Address is where it answers; KeyFile holds the cluster key.
	Address, KeyFile string
	Key              *authn.ClusterKey

	// begin is the cursor of the feed before anything was told, listed whether permission
	// has been given it.
	begin  string
	listed atomic.Bool

	signer  *authn.Signer
	store   kv.Store
	log     *feed.Log
	server  *grpc.Server
	running sync.WaitGroup
}

// StartIdentity starts it; its files lie in the folder.
func StartIdentity(ctx context.Context, folder string) (s *StandIn, err error) {
	s = &StandIn{KeyFile: filepath.Join(folder, "cluster.key")}
	if s.Key, err = authn.OpenClusterKey(s.KeyFile); err != nil {
		return nil, err
	}
	private, err := authn.NewSigningKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if s.signer, err = authn.NewSigner(Issuer, authn.KeySet{Current: private}); err != nil {
		return nil, err
	}
	if s.store, err = kvopen.Open(ctx, "bolt://"+filepath.Join(folder, "identity"), kvopen.Options{Name: "identity", Tables: feed.Tables()}); err != nil {
		return nil, err
	}
	if s.log, err = feed.Open(ctx, feed.Config{Service: "identity", Store: s.store}); err != nil {
		s.store.Close()
		return nil, err
	}
	empty, err := s.log.Read(ctx, "", 1)
	if err != nil {
		s.store.Close()
		return nil, err
	}
	s.begin = empty.Cursor
	lis, err := net.Listen("tcp", Loopback)
	if err != nil {
		s.store.Close()
		return nil, err
	}
	s.Address = lis.Addr().String()
	s.server = grpc.NewServer(grpc.StreamInterceptor(s.asPermission))
	identityv1.RegisterAuthServiceServer(s.server, s)
	identityv1.RegisterOrganizationServiceServer(s.server, s)
	identityv1.RegisterIdentityEventServiceServer(s.server, feed.NewServer(s.log))
	s.running.Go(func() { s.server.Serve(lis) }) // ends with Stop
	return s, nil
}

// asPermission gives streams the caller that they have behind interceptors.
func (s *StandIn) asPermission(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &sisterStream{ServerStream: ss, of: s})
}

type sisterStream struct {
	grpc.ServerStream
	of *StandIn
	// first says that permission asks where the feed ends, for the first time.
	first bool
}

// Context implements grpc.ServerStream.
func (s *sisterStream) Context() context.Context {
	return authn.WithCaller(s.ServerStream.Context(), authn.Caller{Name: "services/permission"})
}

// RecvMsg implements grpc.ServerStream. Who asks where the feed ends, and then lists what
// was there before, finds nothing listed here: it is told from the beginning, also what
// was told before it asked.
func (s *sisterStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if req, ok := m.(*eventv1.StreamEventsRequest); ok && err == nil && req.GetCursor() == feed.Latest {
		s.first = s.of.listed.CompareAndSwap(false, true)
	}
	return err
}

// SendMsg implements grpc.ServerStream.
func (s *sisterStream) SendMsg(m any) error {
	if _, ok := m.(*eventv1.StreamEventsResponse); ok && s.first {
		m = &eventv1.StreamEventsResponse{Cursor: s.of.begin}
	}
	return s.ServerStream.SendMsg(m)
}

// Close ends it.
func (s *StandIn) Close() {
	s.server.Stop()
	s.running.Wait()
	s.store.Close()
}

// GetJwks implements identityv1.AuthServiceServer; the others are not called.
func (s *StandIn) GetJwks(context.Context, *identityv1.GetJwksRequest) (*identityv1.GetJwksResponse, error) {
	resp := &identityv1.GetJwksResponse{}
	for _, k := range s.signer.JWKS().Keys {
		resp.Keys = append(resp.Keys, &identityv1.Jwk{
			Kty: "OKP", Crv: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Key), Kid: k.ID, Alg: "EdDSA", Use: "sig",
		})
	}
	return resp, nil
}

// ListOrganizations implements identityv1.OrganizationServiceServer: the
// permission service asks before it follows the feed for the first time, and
// then there is none yet.
func (s *StandIn) ListOrganizations(context.Context, *identityv1.ListOrganizationsRequest) (*identityv1.ListOrganizationsResponse, error) {
	return &identityv1.ListOrganizationsResponse{}, nil
}

// Event is one event of identity's feed.
type Event struct {
	Type, Subject string
	Data          proto.Message
}

// Tell appends events to the feed, in one transaction.
func (s *StandIn) Tell(ctx context.Context, organization string, events ...Event) error {
	err := s.store.Update(ctx, func(tx kv.Tx) error {
		for _, e := range events {
			packed, err := anypb.New(e.Data)
			if err != nil {
				return err
			}
			if err := s.log.Append(tx, &eventv1.Event{
				Type: e.Type, Subject: e.Subject, Organization: organization, Time: timestamppb.Now(), Data: packed,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	s.log.Notify()
	return err
}

// As returns a connection to address whose calls are the account's.
func (s *StandIn) As(address, account string) (*grpc.ClientConn, error) {
	return Dial(address, &person{signer: s.signer, account: account})
}

// AsService returns a connection to the service at address whose calls are a
// sister service's.
func (s *StandIn) AsService(address, service, sister string) (*grpc.ClientConn, error) {
	return Dial(address, authn.ServiceCredentials(s.Key, sister, service))
}

// Dial returns a connection without the interceptors of the suite's clients, so
// that what a caller sees is the server alone.
func Dial(address string, caller credentials.PerRPCCredentials) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(caller))
}

// person are the credentials of an account.
type person struct {
	signer  *authn.Signer
	account string

	mu    sync.Mutex
	token string
	until time.Time
}

var _ credentials.PerRPCCredentials = (*person)(nil)

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (p *person) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		token, err := p.signer.Sign(authn.Claims{
			Subject: p.account, Session: "stage", ID: "stage", IssuedAt: now, Expires: now.Add(10 * time.Minute),
		})
		if err != nil {
			return nil, err
		}
		p.token, p.until = token, now.Add(5*time.Minute)
	}
	return map[string]string{"authorization": "Bearer " + p.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (*person) RequireTransportSecurity() bool { return false }
