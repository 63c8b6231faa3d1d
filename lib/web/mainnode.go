package web

import (
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
	return refused(http.StatusServiceUnavailable, "E_UNREACHABLE", "rc-web does not know how to reach the main node: %v", err)
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

// as is how the main node is asked with another token than rc-web's own. Without any, a socket of this host would take whoever asks for an administrator.
func (m *mainNode) as(token string) (client.Options, error) {
	if token == "" {
		return client.Options{}, wire.Errorf(wire.ErrAuth, "no token")
	}
	if _, err := m.client(); err != nil {
		return client.Options{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.found
	o.Token, o.Retrying = token, nil
	return o, nil
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
func get[T any](a asker, ask func(*client.Client) (T, error)) (thing T, err error) {
	err = a.do(func(c *client.Client) (err error) {
		thing, err = ask(c)
		return err
	})
	return thing, err
}
