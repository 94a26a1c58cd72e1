package groupchat_test

import (
	"context"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// permission is a service permission that knows the grants it was told, what
// staff may do, and that boss may do anything.
type permission struct {
	permissionv1.GrantServiceServer
	permissionv1.CheckServiceServer

	mu     sync.Mutex
	grants map[[2]string]*permissionv1.SetManagedGrantRequest // by subject and resource
	told   []*permissionv1.SetManagedGrantRequest
	types  map[string][]string // of messages that an account may have to do with; none is all
	fail   func(*permissionv1.SetManagedGrantRequest) error
	denied map[[2]string]bool            // accounts and permissions
	more   func(r grpc.ServiceRegistrar) // further services; may be nil
}

func newPermission() *permission {
	return &permission{grants: map[[2]string]*permissionv1.SetManagedGrantRequest{}}
}

func (p *permission) register(r grpc.ServiceRegistrar) {
	permissionv1.RegisterGrantServiceServer(r, p)
	permissionv1.RegisterCheckServiceServer(r, p)
	if p.more != nil {
		p.more(r)
	}
}

// away makes SetManagedGrant fail until it is called with false.
func (p *permission) away(is bool) {
	p.refuse(nil)
	if is {
		p.refuse(func(*permissionv1.SetManagedGrantRequest) error {
			return errs.New(errs.Unavailable, "STORE_UNAVAILABLE", "away")
		})
	}
}

// refuse sets what SetManagedGrant fails with; nil is to succeed.
func (p *permission) refuse(fail func(*permissionv1.SetManagedGrantRequest) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = fail
}

func (p *permission) SetManagedGrant(_ context.Context, req *permissionv1.SetManagedGrantRequest) (*permissionv1.SetManagedGrantResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		if err := p.fail(req); err != nil {
			return nil, err
		}
	}
	p.told = append(p.told, req)
	key := [2]string{req.GetSubject(), req.GetResource()}
	if old := p.grants[key]; old.GetVersion() < req.GetVersion() {
		p.grants[key] = req
	}
	return &permissionv1.SetManagedGrantResponse{Version: p.grants[key].GetVersion()}, nil
}

// role is what the account has on a group.
func (p *permission) role(account, group string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants[[2]string{account, group}].GetRole()
}

// holders are the accounts with the role on a group.
func (p *permission) holders(group, role string) (accounts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, g := range p.grants {
		if key[1] == group && g.GetRole() == role {
			accounts = append(accounts, key[0])
		}
	}
	return accounts
}

func (p *permission) Check(_ context.Context, req *permissionv1.CheckRequest) (*permissionv1.CheckResponse, error) {
	q := req.GetQuery()
	return &permissionv1.CheckResponse{Result: &permissionv1.CheckResult{
		Allowed: p.allows(q.GetSubject(), q.GetPermission(), q.GetResource()) && p.ofType(q.GetSubject(), q.GetPermission(), q.GetAttributes()),
	}}, nil
}

func (p *permission) may(r authz.Request) bool {
	return p.ofType(r.Caller.Name, r.Permission, r.Attributes) &&
		!slices.ContainsFunc(r.Resources, func(name string) bool { return !p.allows(r.Caller.Name, r.Permission, name) })
}

// limit lets an account have to do with messages of these types alone; none is
// all.
func (p *permission) limit(account string, types ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.types == nil {
		p.types = map[string][]string{}
	}
	p.types[account] = types
}

// forbid takes a permission from an account, whatever its role.
func (p *permission) forbid(account, permission string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.denied == nil {
		p.denied = map[[2]string]bool{}
	}
	p.denied[[2]string{account, permission}] = true
}

func (p *permission) ofType(account, permission string, a *permissionv1.Attributes) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.denied[[2]string{account, permission}] {
		return false
	}
	types := p.types[account]
	return len(types) == 0 || !strings.HasPrefix(permission, "groupchat.messages.") || slices.Contains(types, a.GetMessageType())
}

// The roles as service permission has them.
var (
	memberMay = []string{"groups.get", "members.get", "members.list", "members.delete", "messages.create", "messages.get", "messages.list", "messages.stream", "messages.recall", "messages.retype"}
	adminMay  = append([]string{"groups.update", "members.create", "members.update"}, memberMay...)
	ownerMay  = append([]string{"groups.delete", "groups.undelete"}, adminMay...)
)

func (p *permission) allows(account, permission, name string) bool {
	if account == boss || account == rival {
		return true
	}
	what := strings.TrimPrefix(permission, "groupchat.")
	if what == "groups.create" && name == acme {
		return strings.Contains(account, "/staff/")
	}
	if what == "messageTypes.get" || what == "messageTypes.list" {
		return true
	}
	parts := strings.Split(name, "/")
	if len(parts) < 4 || parts[2] != "groups" {
		return false
	}
	switch p.role(account, strings.Join(parts[:4], "/")) {
	case "roles/group.member":
		return slices.Contains(memberMay, what)
	case "roles/group.admin":
		return slices.Contains(adminMay, what)
	case "roles/group.owner":
		return slices.Contains(ownerMay, what)
	}
	return false
}
