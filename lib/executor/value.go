package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// The types that need no process.

func echo(p *task.Echo, out *output) task.Result {
	out.write(task.Stdout, []byte(p.Message))
	return completed()
}

func sleep(ctx context.Context, p *task.Sleep) task.Result {
	t := time.NewTimer(time.Duration(min(p.Seconds, task.MaxTimeout) * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C:
		return completed()
	case <-ctx.Done():
		return interrupted(ctx)
	}
}

func (x *Executor) systemInfo(ctx context.Context, out *output) task.Result {
	if x.options.SystemInfo == nil {
		return notRun("system_info: not available on this device")
	}
	info := x.options.SystemInfo(ctx)
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(info); err != nil {
		return notRun("system_info: %v", err)
	}
	out.write(task.Stdout, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return completed()
}
