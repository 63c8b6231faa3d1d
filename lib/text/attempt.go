package text

import (
	"strconv"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// attempts are printed with their task only, so that they need no names for the fields of their record:
// attempt, device, status, exit code, leased, started, finished, seconds, bytes of output, reason.
var attempts = &noun[task.Attempt]{
	name:   "attempts",
	record: attemptRecord,
	columns: []column{{title: "#", right: true}, {title: "DEVICE"}, {title: "STATUS"},
		{title: "EXIT", right: true}, {title: "LEASED", spare: 5}, {title: "TIME", right: true},
		{title: "CPU", right: true, optional: true, spare: 3}, {title: "MEMORY", right: true, optional: true, spare: 2},
		{title: "OUTPUT", right: true, optional: true, spare: 4}, {title: "REASON", free: true, optional: true, spare: 1}},
	row: attemptRow,
}

func attemptRecord(a *task.Attempt) []field {
	wall := field{strconv.FormatFloat(a.Wall, 'f', 3, 64), true}
	return []field{integer(a.Number), str(a.Device), str(a.Outcome), known(a.ExitCode), moment(a.Leased),
		moments(a.Started), moments(a.Finished), wall, integer(a.Output), str(a.Reason)}
}

func attemptRow(a *task.Attempt, s Style) []cell {
	wall, cpu := "", ""
	if a.Wall > 0 {
		wall = Duration(seconds(a.Wall))
	}
	if a.Metrics.CPUTime > 0 {
		cpu = Duration(seconds(a.Metrics.CPUTime))
	}
	return []cell{{strconv.Itoa(a.Number), plain}, {oneLine(a.Device), plain},
		{oneLine(string(a.Outcome)), outcomeColor(a.Outcome)}, {known(a.ExitCode).text, plain}, {s.ago(a.Leased), dim},
		{wall, plain}, {cpu, plain}, {sizeKnown(a.Metrics.MemoryPeak), plain}, {sizeKnown(a.Output), plain},
		freeText(a.Reason)}
}

func outcomeColor(o task.Outcome) color {
	switch o {
	case task.AttemptRunning:
		return cyan
	case task.AttemptCompleted:
		return green
	case task.AttemptFailed, task.AttemptTimedOut, task.AttemptLost:
		return red
	}
	return dim
}
