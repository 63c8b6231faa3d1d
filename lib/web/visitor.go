package web

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// asker is a way to ask the main node: with rc-web's own token, or with that of a visitor.
type asker interface {
	do(ask func(*client.Client) error) error
}

// visitor is who asks with a token of their own: a session's or one that they bring. What they may do and see is the main node's to say.
type visitor struct {
	all   *visitors
	token string
}

type visitorKey struct{}

func withVisitor(ctx context.Context, v *visitor) context.Context {
	return context.WithValue(ctx, visitorKey{}, v)
}

// visitorOf is who asks; nil: anybody.
func visitorOf(ctx context.Context) *visitor {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	return v
}

// asker is how to ask the main node for what a request wants to read.
func (s *Server) asker(ctx context.Context) asker {
	if v := visitorOf(ctx); v != nil {
		return v
	}
	return s.main
}

// do asks the main node with the visitor's rights, and once more where it turns out to be elsewhere by now.
func (v *visitor) do(ask func(*client.Client) error) error {
	first, err := v.try(ask)
	if !isUnreachable(err) && !errors.Is(err, wire.ErrAuth) {
		return err
	}
	v.all.main.lookAgain()
	if v.all.same(first) {
		return err
	}
	_, err = v.try(ask)
	return err
}

// once is for what changes something, and is not done twice.
func (v *visitor) once(change func(*client.Client) error) error {
	_, err := v.try(change)
	return err
}

// ask asks with a client for this alone.
func (v *visitor) ask(ctx context.Context, ask func(*client.Client) error) error {
	o, err := v.all.main.as(v.token)
	if err != nil {
		return err
	}
	c, err := client.Dial(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	return ask(c)
}

func (v *visitor) try(ask func(*client.Client) error) (client.Options, error) {
	k, err := v.all.borrow(v.token)
	if err != nil {
		return client.Options{}, err
	}
	err = ask(k.client)
	v.all.giveBack(k)
	return k.options, err
}

// ping finds out whether the main node knows the visitor still.
func (v *visitor) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := v.do(func(c *client.Client) error { return c.Ping(ctx) })
	if isUnknown(err) {
		v.all.forget(v.token)
		return errUsedUp
	}
	return err
}

// isUnknown says whether a token is one that the main node does not know. It says no more than E_RATE where many wrong ones came from rc-web's address.
func isUnknown(err error) bool { return errors.Is(err, wire.ErrAuth) || errors.Is(err, wire.ErrBusy) }

// alone is a client for one use: retrying is called when its connection breaks.
func (v *visitor) alone(retrying func(error)) (*client.Client, error) {
	o, err := v.all.main.as(v.token)
	if err != nil {
		return nil, err
	}
	o.Retrying = retrying
	return client.New(o)
}

// visitors keeps the clients of visitors for a while, so that not every request makes a connection.
type visitors struct {
	main *mainNode

	mu     sync.Mutex
	kept   map[string]*visit // by token
	closed bool
}

// visit is a client of one token.
type visit struct {
	client  *client.Client
	options client.Options
	begun   time.Time
	used    time.Time
	users   int
	listed  bool        // others may use it too
	idle    *time.Timer // ends it; nil: it is in use
}

const (
	mostVisits = 32
	visitIdle  = time.Minute
	visitLong  = 5 * time.Minute // the main node notes at hello that a session is used
)

func newVisitors(m *mainNode) *visitors { return &visitors{main: m, kept: map[string]*visit{}} }

// borrow gives the client of a token. Call giveBack.
func (v *visitors) borrow(token string) (*visit, error) {
	o, err := v.main.as(token)
	if err != nil {
		return nil, err
	}
	k, left, err := v.enter(o)
	hangUp(left)
	return k, err
}

// enter gives the client, and those to close.
func (v *visitors) enter(o client.Options) (k *visit, left []*visit, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k = v.kept[o.Token]; k != nil && (!sameMain(&k.options, &o) || time.Since(k.begun) > visitLong) {
		left = append(left, v.remove(k)...)
		k = nil
	}
	if k == nil {
		c, err := client.New(o)
		if err != nil {
			return nil, left, err
		}
		k = &visit{client: c, options: o, begun: time.Now()}
		left = append(left, v.makeRoom()...)
		if k.listed = !v.closed && len(v.kept) < mostVisits; k.listed {
			v.kept[o.Token] = k
		}
	}
	if k.users++; k.idle != nil {
		k.idle.Stop()
		k.idle = nil
	}
	return k, left, nil
}

// giveBack takes a client back.
func (v *visitors) giveBack(k *visit) {
	v.mu.Lock()
	k.users--
	k.used = time.Now()
	unused := k.users == 0
	if unused && k.listed {
		k.idle = time.AfterFunc(visitIdle, func() { v.leave(k) })
	}
	over := unused && !k.listed
	v.mu.Unlock()
	if over {
		k.client.Close()
	}
}

// leave ends a client that was not used for a while.
func (v *visitors) leave(k *visit) {
	v.mu.Lock()
	var left []*visit
	if k.users == 0 && k.listed {
		left = v.remove(k)
	}
	v.mu.Unlock()
	hangUp(left)
}

// forget ends the client of a token that is good no more.
func (v *visitors) forget(token string) {
	v.mu.Lock()
	var left []*visit
	if k := v.kept[token]; k != nil {
		left = v.remove(k)
	}
	v.mu.Unlock()
	hangUp(left)
}

func hangUp(left []*visit) {
	for _, k := range left {
		k.client.Close()
	}
}

// makeRoom gives up the client that was not used for longest, where there are too many.
func (v *visitors) makeRoom() []*visit {
	if len(v.kept) < mostVisits {
		return nil
	}
	var oldest *visit
	for k := range maps.Values(v.kept) {
		if k.users == 0 && (oldest == nil || k.used.Before(oldest.used)) {
			oldest = k
		}
	}
	if oldest == nil {
		return nil
	}
	return v.remove(oldest)
}

// remove takes a client from the list. It is to be closed now, or by the last who uses it.
func (v *visitors) remove(k *visit) (left []*visit) {
	v.unlist(k)
	if k.users == 0 {
		left = append(left, k)
	}
	return left
}

func (v *visitors) unlist(k *visit) {
	if k.idle != nil {
		k.idle.Stop()
		k.idle = nil
	}
	if k.listed {
		k.listed = false
		delete(v.kept, k.options.Token)
	}
}

// same says whether the main node is still to be reached as it was for these options.
func (v *visitors) same(o client.Options) bool {
	now, err := v.main.as(o.Token)
	return err != nil || sameMain(&o, &now)
}

func sameMain(a, b *client.Options) bool { return a.Main == b.Main && a.Pin == b.Pin }

// close ends all clients.
func (v *visitors) close() {
	v.mu.Lock()
	v.closed = true
	var left []*visit
	for k := range maps.Values(v.kept) {
		left = append(left, k)
	}
	for _, k := range left {
		v.unlist(k)
	}
	v.mu.Unlock()
	hangUp(left)
}
