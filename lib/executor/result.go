package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Exit codes as shells and timeout(1) have them.
const (
	exitTimeout       = 124
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128 // and the signal's number
)

// timeoutError is the cause of a context that ended with the attempt's time limit.
type timeoutError time.Duration

func (t timeoutError) Error() string {
	return "ran longer than its timeout of " + span(time.Duration(t))
}

// limit has an attempt, which has run for so long, cut short when its time is up. nil: it has no end.
func (a *Attempt) limit(ran time.Duration) *time.Timer {
	if a.Spec.Timeout <= 0 {
		return nil
	}
	limit := time.Duration(min(a.Spec.Timeout, task.MaxTimeout) * float64(time.Second))
	return time.AfterFunc(limit-ran, func() { a.cut(timeoutError(limit)) })
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

func completed() task.Result { return ended(0, "") }

// ended is the result of what came to its end by itself.
func ended(code int, reason string) task.Result {
	r := task.Result{Status: task.AttemptCompleted, ExitCode: &code, Reason: reason}
	if code != 0 {
		r.Status = task.AttemptFailed
	}
	return r
}

// notRun is the result of what did not run by no fault of the program's: it has no exit code.
func notRun(format string, args ...any) task.Result {
	return task.Result{Status: task.AttemptFailed, Reason: fmt.Sprintf(format, args...)}
}

// lost is the result of what ended by no fault and no wish of anybody's.
func lost(reason string) task.Result {
	return task.Result{Status: task.AttemptLost, Reason: reason}
}

// interrupted is the result of what ended because ctx did.
func interrupted(ctx context.Context) task.Result {
	cause := context.Cause(ctx)
	if _, ok := errors.AsType[timeoutError](cause); ok {
		code := exitTimeout
		return task.Result{Status: task.AttemptTimedOut, ExitCode: &code, Reason: cause.Error()}
	}
	if _, ok := errors.AsType[fenceError](cause); ok {
		return lost(reasonFenced)
	}
	reason := "cancelled"
	if cause != context.Canceled {
		reason += ": " + cause.Error()
	}
	return task.Result{Status: task.AttemptCancelled, Reason: reason}
}

// note adds to the reason of a result.
func note(r *task.Result, format string, args ...any) {
	if r.Reason != "" {
		r.Reason += "; "
	}
	r.Reason += fmt.Sprintf(format, args...)
}

// span is a duration without the zeros that time.Duration writes behind it: 1h, not 1h0m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// size is a number of bytes for people, exactly.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
