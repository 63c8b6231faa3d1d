package web

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// mainNode is the way to the main node, which may be away, and may come back elsewhere.
type mainNode struct {
	find func() (client.Options, error)

	mu     sync.Mutex
	found  client.Options
	reader *client.Client // with rc-web's own token; nil before the main node was found
}

// client gives the client for reading.
func (m *mainNode) client() (*client.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reader != nil {
		return m.reader, nil
	}
	if _, err := m.look(); err != nil {
		return nil, err
	}
	return m.reader, nil
}

// look finds the main node anew. It returns the client that was in use until now, if there was one and it is now another.
// m.mu is held.
func (m *mainNode) look() (old *client.Client, err error) {
	o, err := m.find()
	if err != nil {
		return nil, unusable(err)
	}
	if m.reader != nil && o.Main == m.found.Main && o.Pin == m.found.Pin && o.Token == m.found.Token {
		return nil, nil
	}
	found := o
	o.Retrying = func(error) { m.lookAgain() } // ends what waits for a main node that is elsewhere by now
	reader, err := client.New(o)
	if err != nil {
		return nil, unusable(err)
	}
	old, m.reader, m.found = m.reader, reader, found
	return old, nil
}

// unusable says of a wrong setting of rc-web that it is one: whoever asks did nothing wrong.
func unusable(err error) error {
	if isUnreachable(err) {
		return err
	}
	return &refusal{http.StatusServiceUnavailable, "E_UNREACHABLE", "rc-web does not know how to reach the main node: " + err.Error()}
}

// lookAgain is for when the main node does not answer where it was.
func (m *mainNode) lookAgain() {
	m.mu.Lock()
	old, _ := m.look() // that it cannot be found is no news
	m.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// do asks the main node, and once more where it turns out to be elsewhere by now, or to know rc-web by another token.
func (m *mainNode) do(ask func(*client.Client) error) error {
	c, err := m.client()
	if err != nil {
		return err
	}
	if err = ask(c); err == nil {
		return nil
	}
	if isUnreachable(err) || errors.Is(err, wire.ErrAuth) {
		m.lookAgain()
	}
	fresh, lost := m.client()
	if lost != nil || fresh == c {
		return own(err)
	}
	return own(ask(fresh))
}

// with runs a change with the rights of whoever asks for it, never with rc-web's own.
func (m *mainNode) with(ctx context.Context, token string, change func(*client.Client) error) error {
	if err := m.do(func(c *client.Client) error { return c.Ping(ctx) }); err != nil {
		return err // and it is known now where the main node is
	}
	m.mu.Lock()
	o := m.found
	m.mu.Unlock()
	o.Token = token
	c, err := client.Dial(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	return change(c)
}

func (m *mainNode) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reader != nil {
		m.reader.Close()
	}
}

func isUnreachable(err error) bool {
	_, away := errors.AsType[*client.UnreachableError](err)
	_, lost := errors.AsType[*client.NotFoundError](err)
	return away || lost
}

// ownError is that the main node refuses rc-web itself, not whoever asks.
type ownError struct{ error }

func (e ownError) Unwrap() error { return e.error }

func own(err error) error {
	if errors.Is(err, wire.ErrAuth) || errors.Is(err, wire.ErrForbidden) {
		return ownError{err}
	}
	return err
}

// get asks the main node for one thing.
func get[T any](m *mainNode, ask func(*client.Client) (T, error)) (thing T, err error) {
	err = m.do(func(c *client.Client) (err error) {
		thing, err = ask(c)
		return err
	})
	return thing, err
}
