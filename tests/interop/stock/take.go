package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Stock is what a server holds, so that what differs between two has a name.
type Stock struct {
	Revision, Compacted int64
	Keys                map[int64]string // by revision: how many there were, and the digest of all their fields
	Hashes              map[int64]string // by revision: HashKV, the same of every member
	Leases              map[string]string
	Auth                string
	Users, Roles        map[string]string
	Logins              []string
}

const (
	tries   = 50
	page    = 20000
	pasts   = 4 // revisions at which everything is read
	moments = 8 // revisions that are hashed
)

// grant is LeaseGrant with an id that the client chooses, which the client's own has no option for.
func grant(ctx context.Context, c *clientv3.Client, id clientv3.LeaseID, ttl int64) (*pb.LeaseGrantResponse, error) {
	return pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: int64(id), TTL: ttl})
}

func take(ctx context.Context, urls []string) (*Stock, error) {
	c, err := connect(urls, rootUser, rootWord)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s := &Stock{Keys: map[int64]string{}, Hashes: map[int64]string{}, Leases: map[string]string{}, Users: map[string]string{},
		Roles: map[string]string{}}
	now, err := c.Get(ctx, "/")
	if err != nil {
		return nil, err
	}
	s.Revision = now.Header.Revision
	if s.Compacted, err = compacted(ctx, c); err != nil {
		return nil, err
	}
	for _, revision := range spread(s.Compacted, s.Revision, pasts) {
		if s.Keys[revision], err = keysAt(ctx, c, revision); err != nil {
			return nil, fmt.Errorf("keys at %d: %w", revision, err)
		}
	}
	for _, part := range []func(context.Context, *clientv3.Client, []string) error{s.hashes, s.leases, s.auth, s.logins} {
		if err := part(ctx, c, urls); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// compacted is told by a watch that begins too early. A member of etcd that has not yet applied the login refuses the watch.
func compacted(ctx context.Context, c *clientv3.Client) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for range tries {
		for r := range c.Watch(ctx, "/", clientv3.WithRev(1), clientv3.WithCreatedNotify()) {
			if r.CompactRevision != 0 {
				return r.CompactRevision, nil
			}
			last = r.Err()
			if last == nil && !r.Created {
				return 0, fmt.Errorf("nothing was compacted")
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, fmt.Errorf("the watch that asks for the compaction: %w", last)
}

// spread answers n revisions from behind `from` up to `to`. At `from` itself etcd answers a hash that it has kept.
func spread(from, to int64, n int64) []int64 {
	var all []int64
	for i := range n {
		all = append(all, from+1+(to-from-1)*i/(n-1))
	}
	return slices.Compact(all)
}

func keysAt(ctx context.Context, c *clientv3.Client, revision int64) (string, error) {
	digest, count := sha256.New(), 0
	for from := "\x00"; ; {
		r, err := c.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithRev(revision), clientv3.WithLimit(page))
		if err != nil {
			return "", err
		}
		for _, kv := range r.Kvs {
			writeKey(digest, kv)
		}
		count += len(r.Kvs)
		if !r.More {
			return fmt.Sprintf("%d keys %x", count, digest.Sum(nil)[:12]), nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

func writeKey(digest interface{ Write([]byte) (int, error) }, kv *mvccpb.KeyValue) {
	fmt.Fprintf(digest, "%q %d %d %d %x %d ", kv.Key, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease, len(kv.Value))
	digest.Write(kv.Value)
}

func (s *Stock) hashes(ctx context.Context, c *clientv3.Client, urls []string) error {
	for _, revision := range spread(s.Compacted, s.Revision, moments) {
		for _, url := range urls {
			h, err := c.HashKV(ctx, url, revision)
			if err != nil {
				return fmt.Errorf("hash at %d: %w", revision, err)
			}
			text := fmt.Sprintf("%d, compacted at %d", h.Hash, h.CompactRevision)
			if before, is := s.Hashes[revision]; is && before != text {
				return fmt.Errorf("hash at %d: %s has %s, another member has %s", revision, url, text, before)
			}
			s.Hashes[revision] = text
		}
	}
	return nil
}

// leases has of each its TTL and the digest of its keys.
func (s *Stock) leases(ctx context.Context, c *clientv3.Client, _ []string) error {
	list, err := c.Leases(ctx)
	if err != nil {
		return err
	}
	described := make([]string, len(list.Leases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, lease := range list.Leases {
		group.Go(func() error {
			r, err := c.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
			if err != nil {
				return err
			}
			keys := make([]string, 0, len(r.Keys))
			for _, k := range r.Keys {
				keys = append(keys, string(k))
			}
			sort.Strings(keys)
			described[i] = fmt.Sprintf("%d s, %d keys", r.GrantedTTL, len(keys))
			if len(keys) > 0 {
				described[i] += fmt.Sprintf(" %x", sha256.Sum256([]byte(fmt.Sprintf("%q", keys))))[:17]
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, lease := range list.Leases {
		s.Leases[fmt.Sprintf("%x", lease.ID)] = described[i]
	}
	return nil
}

func (s *Stock) auth(ctx context.Context, c *clientv3.Client, _ []string) error {
	state, err := c.AuthStatus(ctx)
	if status.Code(err) == codes.Unimplemented { // by 3.4
		s.Auth = "unknown"
	} else if err != nil {
		return err
	} else {
		s.Auth = fmt.Sprintf("enabled: %v, at %d", state.Enabled, state.AuthRevision)
	}
	users, err := c.UserList(ctx)
	if err != nil {
		return err
	}
	for _, name := range users.Users {
		r, err := c.UserGet(ctx, name)
		if err != nil {
			return err
		}
		s.Users[name] = fmt.Sprint(r.Roles)
	}
	roles, err := c.RoleList(ctx)
	if err != nil {
		return err
	}
	for _, name := range roles.Roles {
		r, err := c.RoleGet(ctx, name)
		if err != nil {
			return err
		}
		s.Roles[name] = ""
		for _, p := range r.Perm {
			s.Roles[name] += fmt.Sprintf("%v %q %q; ", p.PermType, p.Key, p.RangeEnd)
		}
	}
	return nil
}

// logins tries the first users' passwords, the right ones and a wrong one, and what they may do.
func (s *Stock) logins(ctx context.Context, _ *clientv3.Client, urls []string) error {
	for i := range min(3, len(s.Users)-1) {
		name := fmt.Sprintf("user%d", i)
		for _, word := range []string{passwordOf(i), "wrong"} {
			outcome := "logs in"
			c, err := connect(urls, name, word)
			if err != nil {
				outcome = err.Error()
			} else {
				for _, k := range []string{key(1), "own/a", "x"} {
					_, err := c.Get(ctx, k)
					outcome += fmt.Sprintf(", %s: %v", k, err)
				}
				c.Close()
			}
			s.Logins = append(s.Logins, fmt.Sprintf("%s with %s: %s", name, word, outcome))
		}
	}
	return nil
}
