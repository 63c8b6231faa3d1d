package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/client"
)

func TestFind(t *testing.T) {
	data, state := t.TempDir(), t.TempDir()
	write := func(dir, address string) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"address": address, "fingerprint": "pin", "admin.token": "secret"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(data, "127.0.0.1:1")
	write(filepath.Join(state, "retire-cluster"), "127.0.0.1:2")
	for _, tt := range []struct {
		name    string
		options client.Options
		env     map[string]string
		want    client.Options
	}{
		{"option", client.Options{Data: data}, map[string]string{"XDG_STATE_HOME": state}, client.Options{Data: data, Main: "127.0.0.1:1", Pin: "pin", Token: "secret"}},
		{"variable", client.Options{}, map[string]string{"RC_DATA": data, "XDG_STATE_HOME": state}, client.Options{Main: "127.0.0.1:1", Pin: "pin", Token: "secret"}},
		{"state", client.Options{}, map[string]string{"XDG_STATE_HOME": state}, client.Options{Main: "127.0.0.1:2", Pin: "pin", Token: "secret"}},
		{"given wins", client.Options{Main: "a:3", Token: "mine"}, map[string]string{"RC_DATA": data}, client.Options{Main: "a:3", Pin: "pin", Token: "mine"}},
		{"all given", client.Options{Main: "a:3", Pin: "p", Token: "mine"}, map[string]string{"RC_DATA": "nowhere"}, client.Options{Main: "a:3", Pin: "p", Token: "mine"}},
	} {
		got, err := client.Find(tt.options, variables(tt.env))
		got.Retrying = nil
		if err != nil || got.Main != tt.want.Main || got.Pin != tt.want.Pin || got.Token != tt.want.Token {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// The token of this host's main node is not sent to another one.
func TestTokenStaysAtHome(t *testing.T) {
	data := t.TempDir()
	for name, text := range map[string]string{"address": "127.0.0.1:1", "fingerprint": "pin", "admin.token": "secret"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.Find(client.Options{Data: data, Main: "a:3", Pin: "another"}, variables(nil))
	if err == nil || got.Token != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNotFound(t *testing.T) {
	for status, options := range map[int]client.Options{69: {}, 77: {Main: "a:1", Token: "x"}} {
		_, err := client.Find(options, variables(map[string]string{"RC_DATA": t.TempDir()}))
		e, ok := errors.AsType[*client.NotFoundError](err)
		if !ok || e.ExitStatus() != status || !strings.Contains(e.Hint(), "--pin") || options.Main != "" && !strings.Contains(e.Error(), "fingerprint") {
			t.Errorf("%v", err)
		}
	}
}

func variables(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}
