package mainnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// act cancels or retries the tasks that are selected: they are looked up here, and decided on by the loop a page at a time.
func (c *conn) act(ctx context.Context, m *wire.Message, role wire.Role) error {
	if !role.May(wire.RoleSubmit) {
		return wire.Errorf(wire.ErrForbidden, "%s: this needs a token of the role submit, yours is %s", m.Type, role)
	}
	var sel wire.Select
	if err := m.Decode(&sel); err != nil {
		return err
	}
	done, err := c.actOn(ctx, m, &sel)
	if err != nil {
		err = fmt.Errorf("%s: %w", m.Type, err)
	}
	if err != nil || done.Count > 0 {
		if e := c.auditAct(ctx, m, &sel, done.Count, err); err == nil {
			err = e
		}
	}
	c.out.waitFor(fewAnswers)
	c.reply(*m, done, err)
	return nil
}

func (c *conn) actOn(ctx context.Context, m *wire.Message, sel *wire.Select) (done wire.Selected, err error) {
	ids, err := c.selected(ctx, sel)
	if err != nil {
		return done, err
	}
	var past error // that one cannot be retried, which does not keep the others from it
	for len(ids) > 0 {
		page := ids[:min(len(ids), mostSelect)]
		ids = ids[len(page):]
		var refused error
		err := c.node.loop.ask(ctx, func(core *Core) {
			if core.storage == storageFull || m.Type == wire.TypeRetry && core.storage != storageOK {
				refused = core.tryAgain()
				return
			}
			for _, id := range page {
				if m.Type == wire.TypeCancel && core.Cancel(id) {
					done.Count++
				}
				if m.Type == wire.TypeRetry && refused == nil {
					done.Count, refused = core.retryFor(c.id, id, len(sel.Tasks) > 0, done.Count)
					if errors.Is(refused, task.ErrMove) {
						past, refused = refused, nil
					}
				}
			}
		})
		if err = cmp.Or(err, refused); err != nil {
			return done, err
		}
	}
	if past != nil && done.Count > 0 {
		past = fmt.Errorf("%w (of those that were named %d were queued again)", past, done.Count)
	}
	return done, past
}

// auditAct audits what was done to tasks.
func (c *conn) auditAct(ctx context.Context, m *wire.Message, sel *wire.Select, count int, refused error) error {
	e := entry{Who: c.who.Load().who, From: c.who.Load().from, What: m.Type, Count: count, Result: "ok", On: brief(sel)}
	return c.node.loop.ask(ctx, func(core *Core) {
		if refused != nil {
			core.failed(e, refused)
			return
		}
		core.audit(e)
	})
}

// brief says what a selection selects, of many things only the first.
func brief(sel *wire.Select) string {
	var b strings.Builder
	add := func(names []string) {
		for i, name := range names {
			if i == 8 {
				b.WriteString(" …")
				return
			}
			fmt.Fprintf(&b, " %.64s", name)
		}
	}
	add(sel.Tasks)
	for _, j := range sel.Jobs[:min(len(sel.Jobs), 8)] {
		b.WriteString(" " + j.String())
	}
	for _, s := range sel.States {
		b.WriteString(" " + s.String())
	}
	if sel.Device != "" {
		fmt.Fprintf(&b, " on %.64s", sel.Device)
	}
	return strings.TrimSpace(b.String())
}

// selected finds the tasks of a selection. Naming one that does not exist is an error; a state that none is in is not.
func (c *conn) selected(ctx context.Context, sel *wire.Select) (ids []task.ID, err error) {
	if len(sel.Tasks)+len(sel.Jobs)+len(sel.States) == 0 && sel.Device == "" {
		return nil, wire.Errorf(wire.ErrField, "name tasks, a job, a state or a device")
	}
	var filters []store.Filter
	if len(sel.Tasks) > 0 {
		named, err := c.resolve(ctx, sel.Tasks)
		if err != nil {
			return nil, err
		}
		filters = append(filters, store.Filter{States: sel.States, Device: sel.Device, Owner: c.owner(), Tasks: named})
	}
	for _, j := range sel.Jobs {
		filters = append(filters, store.Filter{States: sel.States, Device: sel.Device, Owner: c.owner(), Job: j})
	}
	if len(filters) == 0 {
		filters = append(filters, store.Filter{States: sel.States, Device: sel.Device, Owner: c.owner()})
	}
	for _, f := range filters {
		found, err := c.node.db.TaskIDs(ctx, f)
		if err != nil {
			return nil, err
		}
		if f.Job != 0 && len(found) == 0 && len(f.States) == 0 {
			return nil, wire.Errorf(task.ErrNotFound, "job %s", f.Job)
		}
		ids = append(ids, found...)
	}
	return ids, nil
}

func (c *conn) resolve(ctx context.Context, texts []string) (ids []task.ID, err error) {
	for _, text := range texts {
		id, err := c.node.db.Resolve(ctx, text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	known, err := c.node.db.TaskIDs(ctx, store.Filter{Tasks: ids, Owner: c.owner()})
	if err != nil {
		return nil, err
	}
	there := map[task.ID]bool{}
	for _, id := range known {
		there[id] = true
	}
	for _, id := range ids {
		if !there[id] {
			return nil, wire.Errorf(task.ErrNotFound, "task %s", id)
		}
	}
	return ids, nil
}

// retryFor gives a task again for a session, as fast as its token may submit, and counts it. Of one that was named it is said when its secrets are why
// it is not.
func (c *Core) retryFor(session int64, id task.ID, named bool, count int) (int, error) {
	s := c.sessions[session]
	if s == nil {
		return count, errEnded
	}
	if err := c.mayNow(s, 0); err != nil {
		return count, err
	}
	if !c.Retry(id) {
		if t, err := c.db.Task(c.ctx, id); named && err == nil && t.Secrets != nil && t.State.May(task.Queued) {
			return count, wire.Errorf(task.ErrMove, "task %s had secrets, which the main node forgot when it was over: submit it again", id)
		}
		return count, nil
	}
	return count + 1, c.mayNow(s, 1)
}
