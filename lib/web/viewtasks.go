package web

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const (
	tasksAtOnce  = 40       // on a page
	tasksSought  = 500      // the newest ones, in which a word is looked for: what the main node gives in one answer
	outputAtOnce = 16 << 10 // bytes of the end of an output
)

// taskRow is what is shown of a task in one line.
type taskRow struct {
	ID, State, Exit, Type, What, Device, Time, Submitted, Reason, Progress string
	Bar                                                                    *bar
}

func taskRowsOf(tasks []task.Task, now time.Time) []taskRow {
	rows := make([]taskRow, len(tasks))
	for i := range tasks {
		rows[i] = taskRowOf(&tasks[i], now)
	}
	return rows
}

func taskRowOf(t *task.Task, now time.Time) taskRow {
	row := taskRow{ID: t.ID.String(), State: t.State.String(), Type: text.Sanitize(t.Type), What: t.Name, Device: t.Device,
		Time: took(t, now), Submitted: text.Ago(t.Submitted, now), Reason: t.Reason}
	if row.What == "" {
		row.What = text.Runs(&t.Spec)
	}
	if t.State == task.Queued && t.Waiting != "" {
		row.Reason = t.Waiting
	}
	if t.ExitCode != nil && *t.ExitCode != 0 && t.State.Ended() {
		row.Exit = strconv.Itoa(*t.ExitCode)
	}
	row.What, row.Reason = brief(row.What), brief(row.Reason)
	if t.State == task.Running {
		row.Progress, row.Bar = brief(t.Progress), progressBar(t.Progress)
	}
	return row
}

// progressBar is for those tasks that tell how far they have come in percent.
func progressBar(says string) *bar {
	number, _, found := strings.Cut(says, "%")
	percent, err := strconv.ParseFloat(number[strings.LastIndex(number, " ")+1:], 64)
	if !found || err != nil || !(percent >= 0 && percent <= 100) {
		return nil
	}
	return &bar{int(percent + 0.5), "busy"}
}

// took is how long a task ran, or has been running.
func took(t *task.Task, now time.Time) string {
	switch {
	case t.Started == nil:
		return ""
	case t.Finished != nil:
		return text.Duration(max(t.Finished.Sub(*t.Started), 0))
	case t.State == task.Running:
		return text.Duration(max(now.Sub(*t.Started), 0).Truncate(time.Second))
	}
	return ""
}

// taskTable is the page of the tasks.
type taskTable struct {
	Tasks                 []taskRow
	States                []task.State
	Counts                []stateCount
	State, Device, Job, Q string
	All                   string // address without a state
	Newest, Older         string
	Sought                int // tasks in which Q was looked for; 0: it was not
}

// stateCount is how many tasks are in a state, and where they are shown.
type stateCount struct {
	State string
	Many  int64
	At    string
	Here  bool
}

func (s *Server) tasksView(v *viewer) error {
	filter, after, word := v.q.tasks(), v.q.after(), v.q.one("q")
	if err := v.q.check(); err != nil {
		return err
	}
	b := &taskTable{State: strings.Join(v.q.list("state"), ","), Device: filter.Device, Job: v.q.one("job"), Q: text.Sanitize(word), All: with(v.r, "state", "")}
	for _, state := range task.States() {
		b.Counts = append(b.Counts, stateCount{state.String(), v.status.Tasks[state.String()], with(v.r, "state", state.String()), b.State == state.String()})
	}
	list := wire.ListTasks{Filter: filter, After: after, Newest: true, Limit: tasksAtOnce + 1}
	if word != "" {
		list.Limit, b.Sought = tasksSought, tasksSought
	}
	var found []task.Task
	for t, err := range v.Tasks(v.ctx, list) {
		if err != nil {
			return err
		}
		if names(&t, word) {
			found = append(found, t)
		}
		if len(found) > tasksAtOnce {
			break
		}
	}
	if len(found) > tasksAtOnce {
		found = found[:tasksAtOnce]
		b.Older = with(v.r, "after", found[len(found)-1].ID.String())
	}
	if !after.IsZero() {
		b.Newest = with(v.r, "after", "")
	}
	b.Tasks = taskRowsOf(found, v.now)
	v.Title, v.Live, v.Every, v.Body = "Tasks", "/stream/logs?n=0", 10, b
	return nil
}

// names says whether a word stands in what a task is called, or in what it runs.
func names(t *task.Task, word string) bool {
	word = strings.ToLower(word)
	return word == "" || strings.Contains(strings.ToLower(t.Name), word) || strings.Contains(strings.ToLower(text.Runs(&t.Spec)), word)
}

// taskView is the page of one task.
type taskView struct {
	Row                 taskRow
	Job                 string
	Facts               []text.Fact
	Attempts            []attemptRow
	Pieces              []outputPiece
	Skipped             string // how much of the output stands before
	Size                string
	Files               []fileRow
	MoreFiles           int
	Open                bool // more may come
	MayCancel, MayRetry bool
	Payload             string
}

type attemptRow struct {
	Number                             int
	Device, Outcome, Exit, Time, Began string
	CPU, Memory, Reason                string
}

// outputPiece is text of one stream.
type outputPiece struct {
	Error bool // the stream is the one for errors
	Text  string
}

type fileRow struct{ Name, At, Size, SHA256 string }

func (s *Server) taskView(v *viewer) error {
	if err := v.q.check(); err != nil {
		return err
	}
	t, err := v.TaskFiles(v.ctx, v.r.PathValue("id"), 0)
	if err != nil {
		return err
	}
	b := &taskView{Row: taskRowOf(&t, v.now), Facts: text.TaskFacts(&t, v.style()), Open: !t.State.Ended(), Payload: brief(string(t.Payload))}
	if !t.Job.IsZero() {
		b.Job = t.Job.String()
	}
	may := v.may(wire.RoleSubmit)
	b.MayCancel, b.MayRetry = may && b.Open, may && t.State.May(task.Queued) && t.State.Ended() && t.Secrets == nil
	for i := range t.Attempts {
		b.Attempts = append(b.Attempts, attemptRowOf(&t.Attempts[i], v.now))
	}
	b.addFiles(&t)
	if err := b.addOutput(v, &t); err != nil {
		return err
	}
	v.Title, v.Body = "Task "+b.Row.ID, b
	if b.Open {
		v.Live, v.Every = "/stream/tasks/"+url.PathEscape(b.Row.ID)+"/output", 2
	} else {
		v.Live, v.Every = "/stream/logs?n=0", 10 // it may be tried again
	}
	return nil
}

func attemptRowOf(a *task.Attempt, now time.Time) attemptRow {
	row := attemptRow{Number: a.Number, Device: a.Device, Outcome: string(a.Outcome), Began: text.Ago(a.Leased, now), Reason: brief(a.Reason)}
	if a.ExitCode != nil {
		row.Exit = strconv.Itoa(*a.ExitCode)
	}
	if a.Wall > 0 {
		row.Time = text.Duration(time.Duration(a.Wall * float64(time.Second)))
	}
	if a.Metrics.CPUTime > 0 {
		row.CPU = text.Duration(time.Duration(a.Metrics.CPUTime * float64(time.Second)))
	}
	if a.Metrics.MemoryPeak > 0 {
		row.Memory = text.Size(a.Metrics.MemoryPeak)
	}
	return row
}

// addFiles adds what the newest attempt that brought files back has brought.
func (b *taskView) addFiles(t *task.Task) {
	const most = 50
	for i := len(t.Attempts) - 1; i >= 0 && len(b.Files) == 0; i-- {
		files := t.Attempts[i].Files
		for _, f := range files[:min(len(files), most)] {
			at := "/api/v1/tasks/" + t.ID.String() + "/file?" + url.Values{"name": {f.Name}}.Encode()
			b.Files = append(b.Files, fileRow{text.Sanitize(f.Name), at, text.Size(f.Size), f.SHA256})
		}
		b.MoreFiles = len(files) - len(b.Files)
	}
}

// addOutput adds the end of what the newest attempt has printed so far.
func (b *taskView) addOutput(v *viewer, t *task.Task) error {
	if t.Attempt == 0 {
		return nil
	}
	begin := max(t.Output-outputAtOnce, 0)
	follow := wire.FollowOutput{Task: t.ID.String(), Attempt: t.Attempt, Position: begin}
	if begin > 0 {
		b.Skipped = text.Size(begin)
	}
	if t.Output > 0 {
		b.Size = text.Size(t.Output)
	}
	var last *plainOutput
	many := 0
	for piece, err := range v.Output(v.ctx, follow) {
		if err != nil {
			return err
		}
		if last == nil || last.stream != piece.Stream {
			b.Pieces = last.appendTo(b.Pieces)
			last = newPlainOutput(piece.Stream)
		}
		last.Write(piece.Data)
		if many += len(piece.Data); many >= 2*outputAtOnce { // it prints faster than it is read
			break
		}
	}
	b.Pieces = last.appendTo(b.Pieces)
	return nil
}

// plainOutput is output of one stream on its way to a page.
type plainOutput struct {
	*text.TerminalWriter
	stream task.Stream
	text   *bytes.Buffer
}

func newPlainOutput(of task.Stream) *plainOutput {
	b := new(bytes.Buffer)
	return &plainOutput{text.NewPlainWriter(b), of, b}
}

func (p *plainOutput) appendTo(pieces []outputPiece) []outputPiece {
	if p == nil {
		return pieces
	}
	p.Close()
	return append(pieces, outputPiece{p.stream == task.Stderr, p.text.String()})
}
