package main

import (
	"math"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// Users, roles and who may do what. A seed for authentication begins with a root user and switches it on and off.

const (
	pathAuthenticate = pb.Auth_Authenticate_FullMethodName
	pathAuthEnable   = pb.Auth_AuthEnable_FullMethodName
	pathAuthDisable  = pb.Auth_AuthDisable_FullMethodName
	badToken         = "(a bad token)"
)

var users = []string{"root", "u1", "u2", "u3"}

var authChoices = []choice{
	{2, (*gen).authSwitchStep},
	{12, (*gen).authenticateStep},
	{1, func(g *gen) step { return authStep("AuthStatus", &pb.AuthStatusRequest{}) }},
	{3, (*gen).userAddStep},
	{1, func(g *gen) step { return authStep("UserDelete", &pb.AuthUserDeleteRequest{Name: g.user()}) }},
	{2, func(g *gen) step { return authStep("UserGet", &pb.AuthUserGetRequest{Name: g.user()}) }},
	{1, func(g *gen) step { return authStep("UserList", &pb.AuthUserListRequest{}) }},
	{2, func(g *gen) step {
		return authStep("UserChangePassword", &pb.AuthUserChangePasswordRequest{Name: g.user(), Password: g.password()})
	}},
	{4, func(g *gen) step {
		return authStep("UserGrantRole", &pb.AuthUserGrantRoleRequest{User: g.user(), Role: g.role()})
	}},
	{1, func(g *gen) step {
		return authStep("UserRevokeRole", &pb.AuthUserRevokeRoleRequest{Name: g.user(), Role: g.role()})
	}},
	{3, func(g *gen) step { return authStep("RoleAdd", &pb.AuthRoleAddRequest{Name: g.role()}) }},
	{1, func(g *gen) step { return authStep("RoleDelete", &pb.AuthRoleDeleteRequest{Role: g.role()}) }},
	{2, func(g *gen) step { return authStep("RoleGet", &pb.AuthRoleGetRequest{Role: g.role()}) }},
	{1, func(g *gen) step { return authStep("RoleList", &pb.AuthRoleListRequest{}) }},
	{6, (*gen).grantPermissionStep},
	{2, (*gen).revokePermissionStep},
}

func authStep(method string, m proto.Message) step {
	return step{op: "/etcdserverpb.Auth/" + method, msg: m}
}

func (g *gen) user() string {
	if g.oneIn(20) {
		return ""
	}
	return pick(g, users...)
}

func (g *gen) role() string {
	if g.oneIn(20) {
		return ""
	}
	return pick(g, "root", "r1", "r2", "r3")
}

func (g *gen) password() string {
	if g.oneIn(15) {
		// Known difference "zero": none with the byte 0.
		return pick(g, "", "wrong", strings.Repeat("x", 72), strings.Repeat("x", 73))
	}
	return "pw"
}

func (g *gen) userAddStep() step {
	u := &pb.AuthUserAddRequest{Name: g.user(), Password: g.password()}
	if g.oneIn(8) {
		u.Options = &authpb.UserAddOptions{NoPassword: g.oneIn(2)}
	}
	if g.oneIn(10) {
		u.HashedPassword = "aGFzaA=="
	}
	return authStep("UserAdd", u)
}

func (g *gen) authenticateStep() step {
	return authStep("Authenticate", &pb.AuthenticateRequest{Name: g.user(), Password: g.password()})
}

func (g *gen) authSwitchStep() step {
	if g.r.authOn && !g.oneIn(4) {
		return g.authenticateStep()
	}
	if g.r.authOn {
		return authStep("AuthDisable", &pb.AuthDisableRequest{})
	}
	return authStep("AuthEnable", &pb.AuthEnableRequest{})
}

// isGrantedBesideOthers: known difference "grant", of a range that the role may have, beside others that begin with its key.
func (g *gen) isGrantedBesideOthers(r *pb.AuthRoleGrantPermissionRequest) bool {
	if g.ends == nil {
		g.ends = map[string]map[string]bool{}
	}
	key, end := r.Name+"\x00"+string(r.Perm.Key), string(r.Perm.RangeEnd)
	if g.ends[key] == nil {
		g.ends[key] = map[string]bool{}
	}
	if g.ends[key][end] && len(g.ends[key]) > 1 {
		return true
	}
	g.ends[key][end] = true
	return false
}

func (g *gen) permission() *authpb.Permission {
	key := g.key()
	p := &authpb.Permission{Key: key, RangeEnd: g.anyEnd(key), PermType: authpb.Permission_Type(g.Intn(3))}
	if g.oneIn(30) {
		p.PermType = authpb.Permission_Type(pick(g, 3, -1, math.MaxInt32))
	}
	return p
}

func (g *gen) grantPermissionStep() step {
	r := &pb.AuthRoleGrantPermissionRequest{Name: g.role(), Perm: g.permission()}
	if g.oneIn(30) {
		r.Perm = nil
	}
	return authStep("RoleGrantPermission", r)
}

func (g *gen) revokePermissionStep() step {
	p := g.permission()
	if len(g.granted) > 0 && !g.oneIn(3) {
		p = pick(g, g.granted...)
	}
	return authStep("RoleRevokePermission", &pb.AuthRoleRevokePermissionRequest{Role: g.role(), Key: p.Key, RangeEnd: p.RangeEnd})
}

// prelude makes it likely that enabling works and that users may do something.
func (g *gen) prelude() []step {
	steps := []step{
		authStep("UserAdd", &pb.AuthUserAddRequest{Name: "root", Password: "pw"}),
		authStep("RoleAdd", &pb.AuthRoleAddRequest{Name: "root"}),
		authStep("UserGrantRole", &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"}),
	}
	for _, n := range []string{"1", "2"} {
		steps = append(steps,
			authStep("UserAdd", &pb.AuthUserAddRequest{Name: "u" + n, Password: "pw"}),
			authStep("RoleAdd", &pb.AuthRoleAddRequest{Name: "r" + n}),
			authStep("UserGrantRole", &pb.AuthUserGrantRoleRequest{User: "u" + n, Role: "r" + n}),
			authStep("RoleGrantPermission", &pb.AuthRoleGrantPermissionRequest{Name: "r" + n, Perm: g.permission()}))
	}
	steps = append(steps, authStep("AuthEnable", &pb.AuthEnableRequest{}))
	for _, name := range users {
		steps = append(steps, authStep("Authenticate", &pb.AuthenticateRequest{Name: name, Password: "pw"}))
	}
	return steps
}

// signed draws who asks: most often root for what only root may do, so that something happens.
func (g *gen) signed(s step) step {
	switch {
	case s.op == opBriefLease: // whose revoke must not fail
		s.as = "root"
	case g.oneIn(25):
		s.as = badToken
	case g.oneIn(15):
	case g.oneIn(2):
		s.as = "root"
	default:
		s.as = pick(g, users...)
	}
	return s
}
