package bench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const issuer = "https://guildhall.invalid"

// standIn is as much of service identity as the permission service needs: keys
// of tokens, and a feed that tells who is in which team. With it the measured
// process does nothing but what is measured, and ten thousand accounts cost no
// password hashes.
type standIn struct {
	identityv1.AuthServiceServer
	identityv1.OrganizationServiceServer

	address, keyFile string
	key              *authn.ClusterKey
	signer           *authn.Signer
	store            kv.Store
	log              *feed.Log
	server           *grpc.Server
	running          sync.WaitGroup
}

func startStandIn(ctx context.Context, folder string) (s *standIn, err error) {
	s = &standIn{keyFile: filepath.Join(folder, "cluster.key")}
	if s.key, err = authn.OpenClusterKey(s.keyFile); err != nil {
		return nil, err
	}
	private, err := authn.NewSigningKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if s.signer, err = authn.NewSigner(issuer, authn.KeySet{Current: private}); err != nil {
		return nil, err
	}
	if s.store, err = kvopen.Open(ctx, "bolt://"+filepath.Join(folder, "identity"), kvopen.Options{Name: "identity", Tables: feed.Tables()}); err != nil {
		return nil, err
	}
	if s.log, err = feed.Open(ctx, feed.Config{Service: "identity", Store: s.store}); err != nil {
		s.store.Close()
		return nil, err
	}
	lis, err := net.Listen("tcp", loopback)
	if err != nil {
		s.store.Close()
		return nil, err
	}
	s.address = lis.Addr().String()
	s.server = grpc.NewServer(grpc.StreamInterceptor(asPermission))
	identityv1.RegisterAuthServiceServer(s.server, s)
	identityv1.RegisterOrganizationServiceServer(s.server, s)
	identityv1.RegisterIdentityEventServiceServer(s.server, feed.NewServer(s.log))
	s.running.Go(func() { s.server.Serve(lis) }) // ends with Stop
	return s, nil
}

// asPermission gives streams the caller that they have behind interceptors.
func asPermission(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, sisterStream{ss})
}

type sisterStream struct{ grpc.ServerStream }

// Context implements grpc.ServerStream.
func (s sisterStream) Context() context.Context {
	return authn.WithCaller(s.ServerStream.Context(), authn.Caller{Name: "services/permission"})
}

func (s *standIn) close() {
	s.server.Stop()
	s.running.Wait()
	s.store.Close()
}

// GetJwks implements identityv1.AuthServiceServer; the others are not called.
func (s *standIn) GetJwks(context.Context, *identityv1.GetJwksRequest) (*identityv1.GetJwksResponse, error) {
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
func (s *standIn) ListOrganizations(context.Context, *identityv1.ListOrganizationsRequest) (*identityv1.ListOrganizationsResponse, error) {
	return &identityv1.ListOrganizationsResponse{}, nil
}

// tellOrganization tells of the organisation and its administrator.
func (s *standIn) tellOrganization(ctx context.Context) error {
	return s.tell(ctx, event{"guildhall.identity.organization.created.v1", home, &identityv1.OrganizationCreated{Administrator: administrator}})
}

// tellMembers tells who is in which team.
func (s *standIn) tellMembers(ctx context.Context, d Dataset) error {
	const atOnce = 500
	var events []event
	for user := range d.users {
		for k := range memberships {
			team := d.team(d.teamOf(user, k))
			events = append(events, event{
				"guildhall.identity.team_member.created.v1", fmt.Sprintf("%s/members/u%d", team, user),
				&identityv1.TeamMemberChanged{Team: team, Account: d.user(user)},
			})
		}
		if len(events) >= atOnce || user == d.users-1 {
			if err := s.tell(ctx, events...); err != nil {
				return err
			}
			events = events[:0]
		}
	}
	return nil
}

type event struct {
	kind, subject string
	data          proto.Message
}

func (s *standIn) tell(ctx context.Context, events ...event) error {
	err := s.store.Update(ctx, func(tx kv.Tx) error {
		for _, e := range events {
			packed, err := anypb.New(e.data)
			if err != nil {
				return err
			}
			if err := s.log.Append(tx, &eventv1.Event{
				Type: e.kind, Subject: e.subject, Organization: home, Time: timestamppb.Now(), Data: packed,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	s.log.Notify()
	return err
}

// admin is a connection whose calls are the administrator's.
type admin struct {
	conn   *grpc.ClientConn
	roles  permissionv1.RoleServiceClient
	grants permissionv1.GrantServiceClient
}

func newAdmin(address string, s *standIn) (*admin, error) {
	conn, err := dial(address, &person{signer: s.signer})
	if err != nil {
		return nil, err
	}
	return &admin{conn: conn, roles: permissionv1.NewRoleServiceClient(conn), grants: permissionv1.NewGrantServiceClient(conn)}, nil
}

func (a *admin) close() { a.conn.Close() }

// person are the credentials of the administrator.
type person struct {
	signer *authn.Signer
	mu     sync.Mutex
	token  string
	until  time.Time
}

var _ credentials.PerRPCCredentials = (*person)(nil)

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (p *person) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		token, err := p.signer.Sign(authn.Claims{
			Subject: administrator, Session: "bench", ID: "bench", IssuedAt: now, Expires: now.Add(10 * time.Minute),
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
