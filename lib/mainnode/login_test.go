package mainnode

import (
	"slices"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// TestLoginIsAnsweredBeforeItEnds: the code is used up and its connection with it, but not before the session's token was told; so with a logout, and with who revokes
// their own token.
func TestLoginIsAnsweredBeforeItEnds(t *testing.T) {
	r := newRig(t)
	made := r.ask(r.client(wire.RoleAdmin), &wire.MakeLogin{Role: wire.RoleSubmit}).(wire.LoginMade)
	enter := func(token string) int64 {
		t.Helper()
		r.last++
		if _, ok := r.ask(r.last, &wire.Hello{Protocol: wire.Spoken, Token: token}).(wire.Welcome); !ok {
			t.Fatal("not welcome")
		}
		return r.last
	}
	ends := func(session int64, body any) {
		t.Helper()
		of := slices.DeleteFunc(slices.Clone(r.c.effects), func(e Effect) bool { return e.Session != session })
		if len(of) != 2 || of[0].Message.Type != wire.TypeAck || of[0].Close || !of[1].Close {
			t.Errorf("%T: %+v", body, of)
		}
	}
	code := enter(made.Code)
	in := r.ask(code, &login{}).(wire.LoggedIn)
	ends(code, &login{})
	browser := enter(in.Token)
	r.ask(browser, &logout{})
	ends(browser, &logout{})

	admin := r.client(wire.RoleAdmin)
	own := &wire.RevokeToken{ID: r.c.sessions[admin].token}
	r.ask(admin, own)
	ends(admin, own)
}
