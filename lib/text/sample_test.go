package text

import (
	"encoding/json"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// A small cluster that the golden tests print.

var now = time.Date(2024, 1, 15, 10, 30, 15, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

func ref[T any](v T) *T { return &v }

func someDevices() []device.Device {
	return []device.Device{
		{ID: "pixel-3a", Fingerprint: "k5xw", Status: device.Online, ActiveTasks: 2, LastSeen: before(3 * time.Second),
			Joined: before(40 * day), Completed: 1204, Failed: 3, Address: "192.168.1.20",
			Profile: device.Profile{Slots: 4, Tags: []string{"kitchen"}, TaskTypes: []string{"command", "echo"},
				Info:     device.Info{Hostname: "localhost", Platform: "android", Architecture: "aarch64", Role: "mobile", OS: "Android 13", Model: "Pixel 3a"},
				Hardware: device.Hardware{CPUCores: 8, Memory: 4 << 30, Disk: 64 << 30}},
			Metrics: device.Metrics{CPU: ref(25.5), Memory: ref(61.8), Load: []float64{1.5, 1, 0.25}, Battery: ref(88.0), Charging: ref(true), Uptime: ref(int64(90061))}},
		{ID: "old-laptop", Status: device.Draining, Reason: "new battery", ActiveTasks: 1, LastSeen: before(70 * time.Second),
			Profile: device.Profile{Slots: 2, Info: device.Info{Platform: "linux", Role: "compute"}, Hardware: device.Hardware{Memory: 8 << 30}},
			Metrics: device.Metrics{CPU: ref(99.6), Memory: ref(72.0)}},
		{ID: "tablet", Status: device.Offline, Reason: "a|b 100%\n\x1b[2Jgone \u202eevil", LastSeen: before(49 * time.Hour),
			Profile: device.Profile{Slots: 2, Info: device.Info{Platform: "android"}}},
		{ID: "desk", Status: device.Online, Profile: device.Profile{Slots: 8}},
	}
}

func someTasks() []task.Task {
	spec := func(kind, payload string) task.Spec {
		return task.Spec{Type: kind, Payload: json.RawMessage(payload)}
	}
	running := task.Task{ID: 1, Job: 1, State: task.Running, Device: "pixel-3a", Attempt: 1, Submitted: before(4 * time.Minute),
		Spec: spec("command", `{"argv":["ffmpeg","-i","a film.mkv","-c:v","libx265","out.mkv"]}`), Started: ref(before(125 * time.Second))}
	queued := task.Task{ID: 2, Job: 2, State: task.Queued, Submitted: before(4 * time.Second), Waiting: "no device has a GPU",
		Spec: spec("shell", `{"script":"set -e\nmake all"}`)}
	queued.Priority = task.High
	failed := task.Task{ID: 3, Job: 2, State: task.Failed, Device: "old-laptop", Attempt: 2, ExitCode: ref(2), Submitted: before(3 * time.Hour),
		Started: ref(before(3 * time.Hour)), Finished: ref(before(3*time.Hour - 340*time.Millisecond)), Reason: "exit status 2",
		Spec: spec("python_eval", `{"expression":"1/0"}`), Failures: 1, Losses: 1, Output: 2048}
	failed.Name, failed.Timeout, failed.Retries = "=1+1|日本語", 90, 1
	failed.Requirements = task.Requirements{CPUCores: 2, MemoryGB: 1.5, Tags: []string{"kitchen"}, GPU: true}
	failed.Attempts = []task.Attempt{
		{Number: 1, Device: "tablet", Outcome: task.AttemptLost, Leased: before(3 * time.Hour), Reason: "lease ended"},
		{Number: 2, Device: "old-laptop", Outcome: task.AttemptFailed, Leased: before(3 * time.Hour), Started: ref(before(3 * time.Hour)),
			Finished: ref(before(3 * time.Hour)), ExitCode: ref(2), Wall: 0.34, Output: 2048, Reason: "exit status 2",
			Metrics: task.Metrics{CPUTime: 0.3, MemoryPeak: 12 << 20}},
	}
	return []task.Task{running, queued, failed}
}

func someStatus() cluster.Status {
	return cluster.Status{Health: cluster.Healthy, MainNode: "attic", Version: "v1.2.0", Started: before(15 * day),
		Uptime:  int64((15*day + 6*time.Hour + 42*time.Minute + 7*time.Second) / time.Second),
		Devices: map[device.Status]int{device.Online: 4, device.Paused: 1, device.Offline: 2}, DevicesTotal: 7,
		DevicesOnline: 5, Cores: 48, CPU: 37.2, Memory: 128 << 30, MemoryUsed: 42, Slots: 16, SlotsBusy: 12,
		Tasks:       map[string]int64{"queued": 3, "running": 12, "completed": 1204, "failed": 7},
		TasksActive: 12, TasksQueued: 3, CompletedToday: 45, LastEvent: 99}
}

func someEvents() []cluster.Event {
	list := []cluster.Event{
		{Kind: cluster.JobSubmitted, Job: 1, Count: 1},
		{Kind: cluster.JobSubmitted, Job: 2, Count: 12},
		{Kind: cluster.TaskStarted, Task: 1, Job: 1, Device: "pixel-3a", Attempt: 1},
		{Kind: cluster.TaskEnded, Task: 1, Device: "pixel-3a", Attempt: 1, State: task.Completed, ExitCode: ref(0)},
		{Kind: cluster.TaskEnded, Task: 2, Device: "tablet", Attempt: 2, State: task.Failed, ExitCode: ref(2), Reason: "bad\n[2024-01-15 10:30:15] INFO: forged"},
		{Kind: cluster.TaskEnded, Task: 2, Device: "tablet", Attempt: 1, State: task.TimedOut, Reason: "ran 90 s"},
		{Kind: cluster.TaskEnded, Task: 2, State: task.Cancelled},
		{Kind: cluster.TaskRequeued, Task: 2, Device: "tablet", Attempt: 1, Reason: "lease ended"},
		{Kind: cluster.TaskRetried, Task: 2},
		{Kind: cluster.DeviceJoined, Device: "tablet"},
		{Kind: cluster.DeviceOnline, Device: "tablet"},
		{Kind: cluster.DeviceOffline, Device: "tablet", Reason: "silent for 5m 0s"},
		{Kind: cluster.DeviceDraining, Device: "tablet"},
		{Kind: cluster.DeviceResumed, Device: "tablet"},
		{Kind: cluster.DeviceRemoved, Device: "tablet"},
		{Kind: cluster.MainStarted},
		{Kind: cluster.MainStopping},
		{Kind: cluster.TokenMade, Reason: "ci (submit)"},
		{Kind: cluster.TokenRevoked, Reason: "ci"},
		{Kind: cluster.InviteMade},
		{Kind: "disk_full", Device: "tablet", Task: 2},
	}
	for i := range list {
		list[i].Seq, list[i].Time = int64(i+1), now.Add(time.Duration(i)*time.Second)
	}
	return list
}

func someTokens() []Token {
	return []Token{{ID: "ab12", Role: "admin", Name: "first", Created: before(day)},
		{ID: "cd34", Role: "submit", Name: "ci", Grant: cluster.Grant{Types: []string{"echo"}, Tags: []string{"usb"}, Rate: 60}, Created: before(2 * day), Expires: ref(before(time.Hour))}}
}
