package mainnode

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// forCore are the messages that the core decides on, each with the type of its data.
var forCore = map[string]func() any{
	wire.TypeHello:        func() any { return new(wire.Hello) },
	wire.TypeJoin:         func() any { return new(wire.Join) },
	wire.TypeRegister:     func() any { return new(device.Profile) },
	wire.TypeHeartbeat:    func() any { return new(wire.Heartbeat) },
	wire.TypeTaskAccept:   func() any { return new(wire.Accept) },
	wire.TypeTaskProgress: func() any { return new(wire.Progress) },
	wire.TypeTaskOutput:   func() any { return new(wire.Output) },
	wire.TypeTaskResult:   func() any { return new(wire.Result) },
	wire.TypeTaskRelease:  func() any { return new(wire.Release) },
	wire.TypeBye:          func() any { return new(bye) },
	wire.TypeSubmit:       func() any { return new(wire.Submit) },
	wire.TypeInvite:       func() any { return new(wire.Invite) },
	wire.TypeTokenMake:    func() any { return new(wire.MakeToken) },
	wire.TypeTokenList:    func() any { return new(tokenList) },
	wire.TypeTokenRevoke:  func() any { return new(wire.RevokeToken) },
	wire.TypeLoginMake:    func() any { return new(wire.MakeLogin) },
	wire.TypeLogin:        func() any { return new(login) },
	wire.TypeLogout:       func() any { return new(logout) },
}

// asked are the messages that only ask; they are answered here, from the store or from a look at the core.
var asked = map[string]func(*conn, context.Context, *wire.Message) (any, error){
	wire.TypePing:    func(*conn, context.Context, *wire.Message) (any, error) { return none{}, nil },
	wire.TypeStatus:  (*conn).status,
	wire.TypeMetrics: (*conn).metrics,
	wire.TypeDevices: (*conn).devices,
	wire.TypeDevice:  (*conn).device,
	wire.TypeTasks:   (*conn).tasks,
	wire.TypeTask:    (*conn).task,
}

// Decode reads and checks the data of a message that the core decides on; nil: it is not one of those.
func Decode(m *wire.Message) (body any, err error) {
	empty, ok := forCore[m.Type]
	if !ok {
		return nil, nil
	}
	body = empty()
	if err := m.Decode(body); err != nil {
		return nil, err
	}
	return body, check(body)
}

// take takes one message. An error is the answer to it, or the end of the connection.
func (c *conn) take(ctx context.Context, m wire.Message) error {
	if c.ended.Load() {
		return errEnded
	}
	if body, err := Decode(&m); err != nil {
		return err
	} else if body != nil {
		if s, ok := body.(*wire.Submit); ok {
			if err := c.node.hasInputs(s.Tasks); err != nil {
				return err
			}
		}
		m.Data = nil
		in := &Input{Session: c.id, Fingerprint: c.peer, Address: c.address, Local: c.local, Message: m, Body: body}
		if s, ok := body.(*wire.Submit); ok {
			in.Digest = digest(s.Tasks)
		}
		return c.node.give(in)
	}
	role, _ := c.role.Load().(wire.Role)
	if role == "" {
		return wire.Errorf(wire.ErrAuth, "%.40s before hello", m.Type)
	}
	switch m.Type {
	case wire.TypeRotateKey:
		return c.rotateKey(ctx, &m, role)
	case wire.TypeFilePut:
		return c.filePut(&m, role)
	case wire.TypeFileGet:
		return c.fileGet(&m, role)
	case wire.TypeCancel, wire.TypeRetry:
		return c.act(ctx, &m, role)
	case wire.TypeDrain, wire.TypeUndrain, wire.TypeRemove, wire.TypeApprove, wire.TypeWake:
		var d wire.NameDevice
		if err := m.Decode(&d); err != nil {
			return err
		}
		m.Data = nil
		if !(d.Within >= 0 && d.Within <= task.MaxTimeout) {
			return wire.Errorf(wire.ErrField, "%s: within %g seconds: between 0 and a year", m.Type, d.Within)
		}
		return c.node.give(&Input{Session: c.id, Message: m, Body: &deviceAction{m.Type, d.Device, time.Duration(d.Within * float64(time.Second))}})
	}
	if !isKnown(m.Type) {
		return wire.Errorf(wire.ErrUnknownType, "%.40q", m.Type)
	}
	if !role.May(wire.RoleRead) {
		return wire.Errorf(wire.ErrForbidden, "%.40s: this needs a token", m.Type)
	}
	if ask, ok := asked[m.Type]; ok {
		body, err := ask(c, ctx, &m)
		c.out.waitFor(fewAnswers) // who asks and does not read is not answered
		c.reply(m, body, err)
		return nil
	}
	return c.stream(ctx, m)
}

// isKnown says whether somebody may ask for something by such a message.
func isKnown(messageType string) bool {
	switch messageType {
	case wire.TypeFollowEvents, wire.TypeFollowOutput, wire.TypeFollowAudit, wire.TypeUnfollow:
		return true
	}
	return asked[messageType] != nil
}

// check refuses what is not valid before it waits for the loop.
func check(body any) error {
	switch b := body.(type) {
	case *wire.Submit:
		return checkSubmit(b)
	case *wire.Result:
		if !(b.Wall >= 0 && b.Wall <= task.MaxTimeout) || b.OutputBytes < 0 {
			return wire.Errorf(wire.ErrField, "execution_time %g, output_bytes %d", b.Wall, b.OutputBytes)
		}
		if err := task.CheckFiles(b.Files); err != nil {
			return err
		}
		return checkReason(b.Reason)
	case *wire.Release:
		return checkReason(b.Reason)
	case *wire.Heartbeat:
		return checkReason(b.Reason)
	case *device.Profile:
		return checkProfile(b)
	}
	return nil
}

const maxReason = 4 << 10 // bytes

func checkReason(s string) error {
	if len(s) > maxReason {
		return wire.Errorf(wire.ErrField, "a reason of %d bytes, at most %d", len(s), maxReason)
	}
	return nil
}

const (
	maxProfile = 16 << 10 // bytes of JSON
	mostMACs   = 8
)

func checkProfile(p *device.Profile) error {
	b, err := json.Marshal(p)
	hw := &p.Hardware
	switch {
	case err != nil || len(b) > maxProfile:
		return wire.Errorf(wire.ErrField, "a profile of %d bytes, at most %d", len(b), maxProfile)
	case p.Slots < 0 || p.Slots > wire.MaxSlots:
		return wire.Errorf(wire.ErrField, "slots %d: between 0 and %d", p.Slots, wire.MaxSlots)
	case len(hw.MACs) > mostMACs || slices.ContainsFunc(hw.MACs, func(mac string) bool { return magicPacket(mac) == nil }):
		return wire.Errorf(wire.ErrField, "mac_addresses %.100q: at most %d, each of six bytes", hw.MACs, mostMACs)
	case hw.CPUCores < 0 || hw.CPUCores > 1<<16 || hw.Memory < 0 || hw.Memory > 1<<50 || hw.Disk < 0 || hw.Disk > 1<<60:
		return wire.Errorf(wire.ErrField, "hardware_specs: %d cores, %d bytes of memory, %d of disk", hw.CPUCores, hw.Memory, hw.Disk)
	}
	return nil
}

const maxTasks = 10_000 // of one message

func checkSubmit(s *wire.Submit) error {
	if len(s.Tasks) == 0 || len(s.Tasks) > maxTasks {
		return wire.Errorf(wire.ErrField, "submit: %d tasks, between 1 and %d in a message", len(s.Tasks), maxTasks)
	}
	if len(s.Key) > 128 || s.KeyIndex < 0 || s.KeyIndex > math.MaxInt32 {
		return wire.Errorf(wire.ErrField, "submit: a key has at most 128 bytes, its index is between 0 and %d", math.MaxInt32)
	}
	for i := range s.Tasks {
		t := &s.Tasks[i]
		if t.Secrets != nil && len(*t.Secrets) == 0 {
			t.Secrets = nil
		}
		t.Requirements.Provision, t.Requirements.Secrets = t.Provision != (task.Provision{}), t.Secrets != nil
		if err := t.Validate(); err != nil {
			return fmt.Errorf("task %d: %w", i+1, err)
		}
		var small bytes.Buffer // the same task is the same bytes, however it was indented
		if len(t.Payload) > 0 {
			if err := json.Compact(&small, t.Payload); err != nil {
				return wire.Errorf(task.ErrInvalid, "task %d: payload", i+1)
			}
			t.Payload = small.Bytes()
		}
	}
	return nil
}

func (c *conn) status(ctx context.Context, _ *wire.Message) (reply any, err error) {
	err = c.node.loop.ask(ctx, func(core *Core) { reply = core.status() })
	return reply, err
}

func (c *conn) metrics(ctx context.Context, _ *wire.Message) (reply any, err error) {
	err = c.node.loop.ask(ctx, func(core *Core) { reply = core.metrics() })
	return reply, err
}

func (c *conn) devices(ctx context.Context, m *wire.Message) (any, error) {
	var which wire.ListDevices
	if err := m.Decode(&which); err != nil {
		return nil, err
	}
	var l wire.DeviceList
	err := c.node.loop.ask(ctx, func(core *Core) { l = core.someDevices(&which) })
	return l, err
}

func (c *conn) device(ctx context.Context, m *wire.Message) (any, error) {
	var ask wire.NameDevice
	if err := m.Decode(&ask); err != nil {
		return nil, err
	}
	var shown wire.DeviceShown
	var held []task.ID
	var missing error
	err := c.node.loop.ask(ctx, func(core *Core) {
		d, err := core.findDevice(ask.Device)
		if err != nil {
			missing = fmt.Errorf("device %w", err)
			return
		}
		shown.Device = core.shownDevice(d)
		for _, t := range d.holding() {
			held = append(held, t.row.ID)
		}
	})
	if err := cmp.Or(err, missing); err != nil {
		return nil, err
	}
	shown.Tasks = []task.Task{}
	if len(held) > 0 {
		found, err := c.node.db.Tasks(ctx, store.Filter{Tasks: held, Owner: c.owner()}, 0, len(held), false)
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].Files = nil
		}
		shown.Tasks = cutPage(found)
	}
	return shown, nil
}

const (
	tasksPage  = 500 // at most; and fewer where they are large, so that a page fits into a message
	pageBytes  = wire.MaxMessage * 3 / 4
	rowBytes   = 900 // of a task without its texts, generously
	mostSelect = 1000
)

func (c *conn) tasks(ctx context.Context, m *wire.Message) (any, error) {
	var ask wire.ListTasks
	if err := m.Decode(&ask); err != nil {
		return nil, err
	}
	limit := tasksPage
	if ask.Limit > 0 {
		limit = min(limit, ask.Limit)
	}
	filter := storeFilter(&ask.Filter)
	filter.Owner = c.owner()
	found, err := c.node.db.Tasks(ctx, filter, ask.After, limit, ask.Newest)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].Files = nil // of which there may be many; who asks for one task is told
	}
	list := wire.TaskList{Tasks: cutPage(found)}
	if len(list.Tasks) == limit || len(list.Tasks) < len(found) {
		list.Next = list.Tasks[len(list.Tasks)-1].ID
	}
	return list, c.complete(ctx, list.Tasks)
}

// cutPage takes as many tasks as fit into a message, at least one.
func cutPage(found []task.Task) []task.Task {
	size := 0
	for i := range found {
		size += taskBytes(&found[i])
		if size > pageBytes && i > 0 {
			return found[:i]
		}
	}
	if found == nil {
		return []task.Task{}
	}
	return found
}

// taskBytes is at least what a task takes in a message: a character of free text may become six when it is escaped.
func taskBytes(t *task.Task) int {
	text := len(t.Name) + len(t.Reason)
	for _, tag := range t.Requirements.Tags {
		text += len(tag) + 3
	}
	return rowBytes + len(t.Payload) + 6*text
}

// complete adds what only the core knows of open tasks.
func (c *conn) complete(ctx context.Context, ts []task.Task) error {
	open := false
	for i := range ts {
		open = open || !ts[i].State.Ended()
	}
	if !open {
		return nil
	}
	return c.node.loop.ask(ctx, func(core *Core) {
		for i := range ts {
			core.complete(&ts[i])
		}
	})
}

func (c *conn) task(ctx context.Context, m *wire.Message) (any, error) {
	var ask wire.ShowTask
	if err := m.Decode(&ask); err != nil {
		return nil, err
	}
	id, err := c.node.db.Resolve(ctx, ask.Task)
	if err != nil {
		return nil, err
	}
	t, err := c.node.db.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := c.owns(ctx, id, t.Job); err != nil {
		return nil, err
	}
	attempts, err := c.node.db.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	for i, a := range attempts {
		if ask.FilesOf != a.Number && (ask.FilesOf != 0 || i < len(attempts)-1) {
			a.Files = nil
		}
		t.Attempts = append(t.Attempts, a.Attempt)
	}
	one := []task.Task{t}
	err = c.complete(ctx, one)
	return wire.TaskShown{Task: one[0]}, err
}

// stream starts or ends a follow. One that does not wait for what will come is answered in turn.
func (c *conn) stream(ctx context.Context, m wire.Message) error {
	send := func(messageType string, body any) error {
		if !c.out.stream(wire.Message{Type: messageType, ReplyTo: m.ID, Body: body}) {
			return context.Canceled
		}
		return nil
	}
	var run func(context.Context)
	follow := false
	switch m.Type {
	case wire.TypeFollowEvents:
		f := new(wire.FollowEvents)
		if err := m.Decode(f); err != nil {
			return err
		}
		follow = f.Follow
		run = func(ctx context.Context) {
			end, err := c.node.followEvents(ctx, f, c.owner(), send)
			c.reply(m, end, err)
		}
	case wire.TypeFollowOutput:
		f := new(wire.FollowOutput)
		if err := m.Decode(f); err != nil {
			return err
		}
		if f.Position < 0 || f.Attempt < 0 {
			return wire.Errorf(wire.ErrField, "follow_output: attempt %d, position %d", f.Attempt, f.Position)
		}
		follow = f.Follow
		run = func(ctx context.Context) {
			end, err := c.followOutput(ctx, f, send)
			c.reply(m, end, err)
		}
	case wire.TypeFollowAudit:
		f := new(wire.FollowAudit)
		if err := m.Decode(f); err != nil {
			return err
		}
		if role, _ := c.role.Load().(wire.Role); !role.May(wire.RoleAdmin) {
			return wire.Errorf(wire.ErrForbidden, "follow_audit: this needs a token of the role admin, yours is %s", role)
		}
		follow = f.Follow
		run = func(ctx context.Context) { c.reply(m, none{}, c.node.followAudit(ctx, f, send)) }
	case wire.TypeUnfollow:
		var u wire.Unfollow
		if err := m.Decode(&u); err != nil {
			return err
		}
		c.follows.stop(u.Request)
		c.reply(m, none{}, nil)
		return nil
	default:
		return wire.Errorf(wire.ErrUnknownType, "%.40q", m.Type)
	}
	if m.ID == "" {
		return wire.Errorf(wire.ErrField, "%s: needs a message_id", m.Type)
	}
	if follow {
		return c.follows.start(ctx, m.ID, run)
	}
	run(ctx)
	return nil
}
