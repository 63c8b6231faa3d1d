package executor

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Programs that misbehave: this test binary, started under the name below. Each keeps open the descriptors 1 to 3 that it was started
// with; 3 is the witness.
const wildName = "wild"

// patterns are ways to outlive one's process group, after experiments with real schedulers. Each says "ready" when all of it is there.
var patterns = []string{"child", "background", "pipeline", "setsid", "daemon", "bare", "respawn"}

// wild is the program: argv is its name, what to do, and how long the leader stays.
func wild(argv []string) {
	stay, _ := time.ParseDuration(argv[2])
	switch argv[1] {
	case "child": // a child in the group
		spawn(false, nil, "sleep", "60")
	case "background": // one that ignores all polite signals
		spawn(false, nil, "stubborn", "1h")
	case "pipeline":
		r, w := pipe()
		spawnWith([]uintptr{0, uintptr(w), 2, 3}, false, nil, "sleep", "60")
		spawnWith([]uintptr{uintptr(r), 1, 2, 3}, false, nil, "sleep", "60")
	case "setsid": // a child with a session of its own
		spawn(true, nil, "sleep", "60")
	case "daemon": // a daemon: its parent is gone, its session its own
		await(spawn(true, nil, "father", "0s"))
	case "bare": // two of them, which ignore signals, without environment, in /
		await(spawn(true, []string{}, "bareFather", "0s"))
	case "respawn": // two that start one sleeper after another, each in a session of its own
		spawn(true, nil, "breed", "1h")
		spawn(true, []string{}, "breed", "1h")
		time.Sleep(50 * time.Millisecond) // for there to be a crowd
	case "father":
		spawn(false, nil, "sleep", "60")
		os.Exit(0)
	case "bareFather":
		os.Chdir("/")
		spawn(true, []string{}, "stubborn", "1h")
		spawn(true, []string{}, "stubborn", "1h")
		os.Exit(0)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		fmt.Fprint(os.NewFile(3, "witness"), "s")
	case "breed":
		signal.Ignore(syscall.SIGTERM)
		breed()
	case "bomb":
		bomb(argv[2])
	}
	if isPattern(argv[1]) {
		fmt.Println("ready")
	}
	time.Sleep(stay)
	os.Exit(0)
}

func isPattern(name string) bool {
	return strings.Contains(" "+strings.Join(patterns, " ")+" ", " "+name+" ")
}

// breed starts sleepers for as long as it lives; up to as many as a test can bear, should nobody end it.
func breed() {
	for range 200 {
		spawn(true, nil, "sleep", "60")
		time.Sleep(5 * time.Millisecond)
	}
}

// bomb forks until the tree is so many levels deep: each process starts two, in sessions of their own.
func bomb(levels string) {
	n, _ := strconv.Atoi(levels)
	if n > 0 {
		for range 2 {
			spawn(true, []string{}, "bomb", strconv.Itoa(n-1))
		}
	}
	time.Sleep(time.Minute)
}

// spawn starts one more of these, or a sleeper; with this one's environment if env is nil.
func spawn(session bool, env []string, what, stay string) (pid int) {
	return spawnWith([]uintptr{0, 1, 2, 3}, session, env, what, stay)
}

func spawnWith(files []uintptr, session bool, env []string, what, stay string) (pid int) {
	if env == nil {
		env = os.Environ()
	}
	path, argv := "/proc/self/exe", []string{wildName, what, stay}
	if what == "sleep" {
		path, _ = lookPath(what, os.Getenv("PATH")+":"+defaultPath)
		argv = argv[1:]
	}
	pid, err := syscall.ForkExec(path, argv,
		&syscall.ProcAttr{Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: session}})
	if err != nil {
		fmt.Println("spawn:", err)
	}
	return pid
}

func await(pid int) { syscall.Wait4(pid, nil, 0, nil) }

func pipe() (r, w int) {
	var p [2]int
	syscall.Pipe(p[:])
	return p[0], p[1]
}
