package main

import (
	"context"
	"fmt"
	"math/rand"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/authpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// Amount is how much of everything there is to be.
type Amount struct{ Keys, Revisions, Leases, Users int }

const (
	writers  = 64
	baseTTL  = 3600
	password = "pw-"
	rootUser = "root"
	rootWord = "rootpw"
)

func key(i int) string { return fmt.Sprintf("/stock/%07d", i) }

// value is up to 256 bytes that say where they belong.
func value(i, n int) string {
	return fmt.Sprintf("%d/%d ", i, n) + strings.Repeat("v", (i*31+n*17)%240)
}

func leaseID(n int) clientv3.LeaseID { return clientv3.LeaseID(0x5000000 + n) }

// each runs f for 0 to n-1 with `writers` of them at a time.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	next := atomic.Int64{}
	for range writers {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(ctx, i); err != nil {
					return fmt.Errorf("step %d: %w", i, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func fill(ctx context.Context, urls []string, amount Amount) error {
	c, err := connect(urls, "", "")
	if err != nil {
		return err
	}
	defer c.Close()
	leases := func(ctx context.Context, n int) error {
		_, err := grant(ctx, c, leaseID(n), int64(baseTTL+n%1000))
		return err
	}
	if err := each(ctx, amount.Leases, leases); err != nil {
		return err
	}
	if err := each(ctx, amount.Keys, func(ctx context.Context, i int) error { return create(ctx, c, i, amount) }); err != nil {
		return err
	}
	changes := amount.Revisions - amount.Keys
	change := func(first int) func(context.Context, int) error {
		return func(ctx context.Context, i int) error { return alter(ctx, c, first+i, amount) }
	}
	if err := each(ctx, changes/2, change(0)); err != nil {
		return err
	}
	if err := compact(ctx, c, changes/4); err != nil {
		return err
	}
	if err := each(ctx, changes-changes/2, change(changes/2)); err != nil {
		return err
	}
	return authorize(ctx, c, amount.Users)
}

// create puts a key for the first time; of ten leases, nine have keys, some of them many.
func create(ctx context.Context, c *clientv3.Client, i int, amount Amount) error {
	var options []clientv3.OpOption
	if per := amount.Keys / (amount.Leases + 1); per > 0 && i%per == 0 && i/per < amount.Leases*9/10 {
		options = append(options, clientv3.WithLease(leaseID(i/per/(1+i/per%3))))
	}
	_, err := c.Put(ctx, key(i), value(i, 0), options...)
	return err
}

// alter makes one revision: mostly a new value, now and then a transaction of several, or keys that come and go.
func alter(ctx context.Context, c *clientv3.Client, n int, amount Amount) error {
	random := rand.New(rand.NewSource(int64(n)))
	i, gone := random.Intn(amount.Keys), fmt.Sprintf("/gone/%d", random.Intn(50))
	var err error
	switch n % 10 {
	case 0:
		_, err = c.Put(ctx, gone, value(i, n))
	case 1: // one revision even if there was nothing to delete
		_, err = c.Txn(ctx).Then(clientv3.OpDelete(gone), clientv3.OpPut(key(i), value(i, n))).Commit()
	case 2:
		_, err = c.Txn(ctx).Then(clientv3.OpPut(key(i), value(i, n)), clientv3.OpPut("/count", fmt.Sprint(n)),
			clientv3.OpDelete("/gone/4", clientv3.WithPrefix())).Commit()
	case 3:
		_, err = c.Put(ctx, key(i), value(i, n), clientv3.WithIgnoreLease())
	case 4:
		if amount.Leases > 0 {
			_, err = c.Put(ctx, key(i), value(i, n), clientv3.WithLease(leaseID(random.Intn(amount.Leases))))
			break
		}
		fallthrough
	default:
		_, err = c.Put(ctx, key(i), value(i, n))
	}
	return err
}

func compact(ctx context.Context, c *clientv3.Client, before int) error {
	at, err := c.Get(ctx, key(0))
	if err != nil {
		return err
	}
	_, err = c.Compact(ctx, at.Header.Revision-int64(before), clientv3.WithCompactPhysical())
	return err
}

// authorize makes users and roles of every kind and enables authentication.
func authorize(ctx context.Context, c *clientv3.Client, users int) error {
	type permission struct {
		key, end string
		kind     authpb.Permission_Type
	}
	roles := map[string][]permission{
		"root":   nil,
		"reader": {{key(0), clientv3.GetPrefixRangeEnd("/stock/"), clientv3.PermRead}, {"one", "", clientv3.PermRead}},
		"writer": {{"own/", "own0", clientv3.PermReadWrite}, {"mail", "mbil", clientv3.PermWrite}},
		"late":   {{"x", "\x00", clientv3.PermRead}},
		"nobody": nil,
	}
	for name, permissions := range roles {
		if _, err := c.RoleAdd(ctx, name); err != nil {
			return err
		}
		for _, p := range permissions {
			if _, err := c.RoleGrantPermission(ctx, name, p.key, p.end, clientv3.PermissionType(p.kind)); err != nil {
				return err
			}
		}
	}
	if _, err := c.UserAdd(ctx, rootUser, rootWord); err != nil {
		return err
	}
	if _, err := c.UserGrantRole(ctx, rootUser, "root"); err != nil {
		return err
	}
	for i := range users {
		name, of := fmt.Sprintf("user%d", i), []string{"reader", "writer", "late"}[i%3]
		if _, err := c.UserAddWithOptions(ctx, name, passwordOf(i), &clientv3.UserAddOptions{NoPassword: i%5 == 4}); err != nil {
			return err
		}
		if _, err := c.UserGrantRole(ctx, name, of); err != nil {
			return err
		}
	}
	_, err := c.AuthEnable(ctx)
	return err
}

func passwordOf(i int) string {
	if i%5 == 4 {
		return ""
	}
	return password + fmt.Sprint(i)
}
