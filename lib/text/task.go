package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

var tasks = &noun[task.Task]{
	name: "tasks",
	fields: []string{"id", "state", "type", "priority", "device", "attempt", "exit_code", "submitted", "started",
		"finished", "name", "job", "reason"},
	record: taskRecord,
	columns: []column{{title: "ID"}, {title: "STATE"}, {title: "PRIO", optional: true, spare: 4},
		{title: "TYPE", spare: 5}, {title: "WHAT", free: true}, {title: "DEVICE", spare: 1},
		{title: "TIME", right: true, spare: 3}, {title: "SUBMITTED", spare: 6},
		{title: "REASON", free: true, optional: true, spare: 2}},
	row: taskRow,
}

// Tasks prints a page of tasks.
func (p *Printer) Tasks(page []task.Task) error { return printPage(p, tasks, page) }

func taskRecord(t *task.Task) []field {
	job := ""
	if !t.Job.IsZero() {
		job = t.Job.String()
	}
	return []field{str(t.ID.String()), str(t.State.String()), str(t.Type), str(t.Priority.String()), str(t.Device),
		integer(t.Attempt), known(t.ExitCode), moment(t.Submitted), moments(t.Started), moments(t.Finished),
		str(t.Name), str(job), str(why(t))}
}

// why says why a task waits, or else why it is where it is.
func why(t *task.Task) string {
	if t.Waiting != "" {
		return t.Waiting
	}
	return t.Reason
}

func taskRow(t *task.Task, s Style) []cell {
	priority := ""
	if t.Priority != task.Normal {
		priority = t.Priority.String()
	}
	what := t.Name
	if what == "" {
		what = Runs(&t.Spec)
	}
	return []cell{{t.ID.String(), plain}, stateCell(t), {priority, plain}, {oneLine(t.Type), dim}, freeText(what),
		{oneLine(t.Device), plain}, {took(t, s.Now), plain}, {s.ago(t.Submitted), dim}, freeText(why(t))}
}

// stateCell is the state, with the exit status of what failed.
func stateCell(t *task.Task) cell {
	text := t.State.String()
	if t.ExitCode != nil && *t.ExitCode != 0 && t.State.Ended() {
		text += " (" + strconv.Itoa(*t.ExitCode) + ")"
	}
	return cell{text, stateColor(t.State)}
}

func stateColor(s task.State) color {
	switch s {
	case task.Running:
		return cyan
	case task.Completed:
		return green
	case task.Failed, task.TimedOut:
		return red
	}
	return dim
}

// took is how long a task ran, or has been running.
func took(t *task.Task, now time.Time) string {
	switch {
	case t.Started == nil:
		return ""
	case t.Finished != nil:
		return Duration(max(t.Finished.Sub(*t.Started), 0))
	case t.State == task.Running && !now.IsZero():
		return Duration(max(now.Sub(*t.Started), 0).Truncate(time.Second))
	}
	return ""
}

// Runs is what a task does, in one line: the command, the script, the address.
func Runs(s *task.Spec) string {
	switch s.Type {
	case task.TypeCommand:
		return oneLine(commandLine(payload[task.Command](s).Argv))
	case task.TypeShell:
		return oneLine(strings.TrimSpace(payload[task.Shell](s).Script))
	case task.TypePythonEval:
		return oneLine(payload[task.PythonEval](s).Expression)
	case task.TypeEcho:
		return oneLine(payload[task.Echo](s).Message)
	case task.TypeSleep:
		return Duration(seconds(payload[task.Sleep](s).Seconds))
	case task.TypeHTTP:
		p := payload[task.HTTP](s)
		return oneLine(strings.TrimSpace(p.Method + " " + p.URL))
	}
	if s := string(bytes.TrimSpace(s.Payload)); s != "{}" && s != "null" {
		return oneLine(s)
	}
	return ""
}

// payload reads a payload as far as it can be read.
func payload[T any](s *task.Spec) (p T) {
	json.Unmarshal(s.Payload, &p) // what cannot be read is not shown
	return p
}

// commandLine quotes arguments as a shell wants them.
func commandLine(argv []string) string {
	quoted := make([]string, len(argv))
	for i, a := range argv {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}

// Task prints one task with its attempts.
func (p *Printer) Task(t task.Task) error {
	switch p.format {
	case CSV, TSV:
		return p.Tasks([]task.Task{t})
	case JSON:
		p.object(&t)
		return p.write()
	}
	p.turnTo("task " + t.ID.String())
	p.block(slices.Concat(taskWhat(&t), p.taskState(&t), taskWants(&t.Spec), broughtBack(&t)))
	if p.format == Table && len(t.Attempts) > 0 {
		return printPage(p, attempts, t.Attempts)
	}
	for i := range t.Attempts {
		p.out.WriteString("attempt: ")
		p.record(attemptRecord(&t.Attempts[i]))
	}
	return p.write()
}

// broughtBack are the files of the newest attempt that has any.
func broughtBack(t *task.Task) []pair {
	for i := len(t.Attempts) - 1; i >= 0; i-- {
		if files := t.Attempts[i].Files; len(files) > 0 {
			return []pair{{"brought_back", names(files), plain}}
		}
	}
	return nil
}

func taskWhat(t *task.Task) []pair {
	job := ""
	if !t.Job.IsZero() {
		job = t.Job.String()
	}
	return []pair{
		{"id", t.ID.String(), bold},
		{"job", job, plain},
		{"name", t.Name, plain},
		{"type", t.Type, plain},
		{"what", Runs(&t.Spec), plain},
	}
}

func (p *Printer) taskState(t *task.Task) []pair {
	return []pair{
		{"state", t.State.String(), stateColor(t.State)},
		{"waiting", t.Waiting, plain},
		{"reason", t.Reason, plain},
		{"exit_code", known(t.ExitCode).text, plain},
		{"device", t.Device, plain},
		{"attempts", unlessZero(int64(t.Attempt)), plain},
		{"failures", unlessZero(int64(t.Failures)), plain},
		{"losses", unlessZero(int64(t.Losses)), plain},
		{"progress", t.Progress, plain},
		{"submitted", p.when(t.Submitted), plain},
		{"started", p.whenKnown(t.Started), plain},
		{"finished", p.whenKnown(t.Finished), plain},
		{"eligible", p.whenKnown(t.Eligible), plain},
		{"time", took(t, p.style.Now), plain},
		{"output", sizeKnown(t.Output), plain},
	}
}

func taskWants(s *task.Spec) []pair {
	timeout := ""
	if s.Timeout > 0 {
		timeout = Duration(seconds(s.Timeout))
	}
	return []pair{
		{"priority", s.Priority.String(), plain},
		{"timeout", timeout, plain},
		{"max_retries", unlessZero(int64(s.Retries)), plain},
		{"runs", runs(&s.Policy), plain},
		{"requires", requires(&s.Requirements), plain},
		{"limits", limits(s.Limits), plain},
		{"files", files(s.Files), plain},
		{"secrets", secrets(s.Secrets), plain},
	}
}

// runs says how often a task may be run, where it says so itself.
func runs(p *task.Policy) string {
	var says []string
	if p.AtMostOnce {
		says = append(says, "at most once")
	}
	if p.Exclusive {
		says = append(says, "never twice at the same time")
	}
	if p.Backoff > 0 {
		says = append(says, "again after "+Duration(seconds(p.Backoff)))
	}
	if len(p.RetryOn) > 0 {
		says = append(says, "again on status "+strings.Trim(fmt.Sprint(p.RetryOn), "[]"))
	}
	return strings.Join(says, ", ")
}

// limits says what a run may use.
func limits(l *task.Limits) string {
	if l == nil {
		return ""
	}
	var says []string
	say := func(yes bool, format string, arg any) {
		if yes {
			says = append(says, fmt.Sprintf(format, arg))
		}
	}
	say(l.Memory > 0, "memory %s", Size(l.Memory))
	say(l.Processes > 0, "%d processes", l.Processes)
	say(l.Disk > 0, "disk %s", Size(l.Disk))
	say(l.CPUs > 0, "%v processors", l.CPUs)
	return strings.Join(says, ", ")
}

// files says what goes with a task.
func files(f *task.Files) string {
	if f == nil {
		return ""
	}
	var says []string
	if len(f.In) > 0 {
		var size int64
		for i := range f.In {
			size += f.In[i].Size
		}
		says = append(says, fmt.Sprintf("%s sent along (%s)", names(f.In), Size(size)))
	}
	if len(f.Out) > 0 {
		says = append(says, "brings back "+strings.Join(f.Out, ", "))
	}
	return strings.Join(says, "; ")
}

// secrets says which variables are not shown.
func secrets(s *task.Secrets) string {
	if s == nil {
		return ""
	}
	return strings.Join(slices.Sorted(maps.Keys(*s)), ", ")
}

// names are the first names of files.
func names(files []task.File) string {
	const most = 3
	var all []string
	for i := range files[:min(len(files), most)] {
		all = append(all, files[i].Name)
	}
	if more := len(files) - most; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, ", ")
}

// requires says what a task asks of a device.
func requires(r *task.Requirements) string {
	var wants []string
	want := func(yes bool, format string, args ...any) {
		if yes {
			wants = append(wants, fmt.Sprintf(format, args...))
		}
	}
	want(r.Device != "", "device %s", r.Device)
	want(r.CPUCores > 0, "%d cores", r.CPUCores)
	want(r.MemoryGB > 0, "%v GB of memory", r.MemoryGB)
	want(r.StorageGB > 0, "%v GB of storage", r.StorageGB)
	want(r.GPU, "a GPU")
	want(r.Sandbox > 0, "sandbox %d", r.Sandbox)
	want(r.Platform != "", "platform %s", r.Platform)
	want(r.Role != "", "role %s", r.Role)
	want(len(r.Tags) > 0, "tags %s", strings.Join(r.Tags, " "))
	return strings.Join(wants, ", ")
}

// TasksFrom prints tasks as they come, a page at a time. An error of where they come from ends it and is returned.
func (p *Printer) TasksFrom(all iter.Seq2[task.Task, error]) error {
	const atOnce = 100
	page := make([]task.Task, 0, atOnce)
	for t, err := range all {
		if err != nil {
			return err
		}
		if page = append(page, t); len(page) == atOnce {
			if err := p.Tasks(page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return p.Tasks(page)
}
