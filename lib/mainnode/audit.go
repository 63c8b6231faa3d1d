package mainnode

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/limit"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// entry is a line of the audit log: who did what to what, and what came of it. It is committed with what it tells of.
type entry struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"timestamp"`
	Who    string    `json:"who"`            // "token ID", "device NAME", "local uid 1000", "main node", or "stranger"
	From   string    `json:"from,omitempty"` // address
	What   string    `json:"what"`           // message_type of what was asked for
	On     string    `json:"on,omitempty"`   // a device, a job, a token's id
	Count  int       `json:"count,omitempty"`
	Types  []string  `json:"task_types,omitempty"`
	SHA256 string    `json:"sha256,omitempty"` // of what was submitted
	Result string    `json:"result"`           // ok, or the error's code
	Why    string    `json:"why,omitempty"`    // the error's text; of a device that joined, the id of its code
}

const stranger, whoMain = "stranger", "main node"

// audit adds a line to the audit log.
func (c *Core) audit(e entry) {
	e.Seq, e.Time = c.audited.Seq+1, c.now.UTC().Truncate(time.Millisecond)
	if e.Who == "" {
		e.Who = stranger
	}
	b, err := json.Marshal(&e)
	if err != nil { // of texts and numbers alone: a bug
		c.log.Error("cannot audit", "what", e.What, "err", err)
		return
	}
	line := []byte(cli.Mask(string(b)))
	c.audited = store.Audited{Seq: e.Seq, Line: line, Hash: store.Chain(c.audited.Hash, line)}
	c.batch.Audit(c.audited)
}

// note audits what was asked for, where it changes something or was refused.
func (c *Core) note(s *session, in *Input, reply any, err error) {
	e := entry{From: in.Address, What: in.Message.Type}
	if s != nil {
		e.Who, e.From = s.who, s.from
	}
	changes := describe(&e, in, reply)
	switch {
	case err != nil && (changes || isDenied(err)):
		c.failed(e, err)
	case err == nil && changes:
		e.Result = "ok"
		c.audit(e)
	}
}

// describe says what an input was about; false: it changes nothing that is audited.
func describe(e *entry, in *Input, reply any) bool {
	switch body := in.Body.(type) {
	case *wire.Submit:
		e.Count, e.SHA256, e.Types = len(body.Tasks), in.Digest, typesOf(body.Tasks)
		if r, ok := reply.(wire.Submitted); ok {
			e.On = r.Job.String()
		}
	case *wire.Join:
		e.On = body.Name
		if body.Invite != "" {
			e.Why = "join code " + strings.ToValidUTF8(body.Invite[:min(len(body.Invite), mostOn)], "")
		}
		if r, ok := reply.(wire.Joined); ok {
			e.On = r.DeviceID
		}
	case *wire.Invite:
		if r, ok := reply.(wire.Invited); ok {
			code, _ := wire.ParseJoinCode(r.Code)
			e.On = code.ID
		}
	case *wire.MakeToken:
		if r, ok := reply.(wire.TokenMade); ok {
			e.On = r.ID
		}
	case *wire.MakeLogin:
		if r, ok := reply.(wire.LoginMade); ok {
			code, _ := wire.ParseToken(r.Code)
			e.On = code.ID
		}
	case *login:
		if r, ok := reply.(wire.LoggedIn); ok {
			e.On = r.ID
		}
	case *wire.RevokeToken:
		e.On = body.ID
	case *deviceAction:
		e.On = body.name
	case *logout:
	default:
		return false
	}
	return true
}

const mostTypes = 8 // that are told of a submission

func typesOf(tasks []task.Spec) (types []string) {
	for i := range tasks {
		if t := tasks[i].Type; !slices.Contains(types, t) && len(types) < mostTypes {
			types = append(types, t)
		}
	}
	return types
}

// digest is SHA-256 of the types and payloads of tasks.
func digest(tasks []task.Spec) string {
	h := sha256.New()
	for i := range tasks {
		h.Write([]byte(tasks[i].Type))
		h.Write([]byte{0})
		h.Write(tasks[i].Payload)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// isDenied says whether somebody asked for what is not for them.
func isDenied(err error) bool {
	switch wire.NewError(err).Code {
	case "E_AUTH", "E_FORBIDDEN", "E_TYPE_FORBIDDEN", "E_JOIN_TOKEN", "E_REVOKED", "E_DUPLICATE_IDENTITY":
		return true
	}
	return false
}

// failures are what was refused within the last minute: of each kind one line is written at once, and one with the number of the others
// when the minute is over. Who is refused often cannot fill the disk with that.
type failures map[failureKind]*failure

type failureKind struct{ who, from, what, result string }

func (k failureKind) compare(o failureKind) int {
	return cmp.Or(strings.Compare(k.who, o.who), strings.Compare(k.from, o.from), strings.Compare(k.what, o.what), strings.Compare(k.result, o.result))
}

type failure struct {
	entry entry
	since time.Time
}

const (
	failureTime  = time.Minute
	mostFailures = 256 // kinds at a time; those above count as one
)

// mostOn is how many bytes of what somebody named, and was refused, are told.
const mostOn = 64

// networkOf is the network of an address: one host has as many of version 6 as it likes.
func networkOf(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil {
		return limit.Network(ip).String()
	}
	return address
}

// failed audits what was refused.
func (c *Core) failed(e entry, err error) {
	refused := wire.NewError(err)
	e.Result, e.Why = refused.Code, refused.Text
	e.On = strings.ToValidUTF8(e.On[:min(len(e.On), mostOn)], "")
	kind := failureKind{e.Who, networkOf(e.From), e.What, e.Result}
	f := c.failures[kind]
	if f == nil && len(c.failures) >= mostFailures {
		kind = failureKind{}
		e = entry{Who: "others", What: "various", Result: "refused"}
		f = c.failures[kind]
	}
	if f == nil {
		count := 0
		if c.storage == storageFull { // nothing can be written; it is when there is room
			count = 1
		} else {
			c.audit(e)
		}
		c.log.Warn("refused", "who", cmp.Or(e.Who, stranger), "from", e.From, "what", e.What, "on", e.On, "code", e.Result, "why", e.Why)
		e.Count = count
		c.failures[kind] = &failure{e, c.now}
		return
	}
	f.entry.Count++
}

// sumUp audits how often it was refused what was refused more than once.
func (c *Core) sumUp(all bool) {
	if c.storage == storageFull {
		return
	}
	for _, kind := range slices.SortedFunc(maps.Keys(c.failures), failureKind.compare) {
		f := c.failures[kind]
		if !all && c.now.Sub(f.since) < failureTime {
			continue
		}
		if f.entry.Count > 0 {
			c.audit(f.entry)
		}
		delete(c.failures, kind)
	}
}
