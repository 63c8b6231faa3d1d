package testscripts

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// clusterKey finds a script's cluster among its values.
type clusterKey struct{}

// cluster is the daemons of one script.
type cluster struct {
	env     *testscript.Env
	work    string
	daemons map[string]*daemon // by name: main, web, and those of the workers
	sleeper *sleeper
	failed  func() bool
	logf    func(string, ...any)
}

const mainName, webName = "main", "web"

func newCluster(e *testscript.Env) *cluster {
	c := &cluster{env: e, work: e.WorkDir, daemons: map[string]*daemon{}, failed: func() bool { return false }}
	if t, ok := e.T().(interface{ Failed() bool }); ok {
		c.failed = t.Failed
	}
	return c
}

// cmdCluster is the command cluster.
func cmdCluster(ts *testscript.TestScript, neg bool, args []string) {
	c := ts.Value(clusterKey{}).(*cluster)
	c.logf = ts.Logf
	verbs := map[string]func(ts *testscript.TestScript, name string, flags []string) error{
		"start": c.start, "add": c.add, "web": c.web, "kill": c.kill, "stop": c.stop, "term": c.term, "restart": c.restart,
	}
	if neg || len(args) == 0 || verbs[args[0]] == nil {
		ts.Fatalf("usage: cluster start|add|web|kill|stop|term|restart …")
	}
	verb, args := args[0], args[1:]
	switch {
	case verb == "start":
		args = append([]string{mainName}, args...)
	case verb == "web":
		args = append([]string{webName}, args...)
	case len(args) == 0:
		ts.Fatalf("usage: cluster %s name", verb)
	}
	if err := verbs[verb](ts, args[0], args[1:]); err != nil {
		ts.Fatalf("cluster %s: %v", verb, err)
	}
}

// start starts a main node, and workers by their names. What begins with - is a flag of rc-mained. It sets MAIN to the address.
func (c *cluster) start(ts *testscript.TestScript, _ string, args []string) error {
	addr := filepath.Join(c.work, "main.addr")
	flags := []string{"--listen=127.0.0.1:0", "--addr-file=" + addr, "--data=" + c.dir(mainName), "--name=main", "--heartbeat=500ms", "--offline-after=10s"}
	var workers []string
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			flags = append(flags, a)
		} else {
			workers = append(workers, a)
		}
	}
	main := c.daemon(mainName, "rc-mained", flags)
	if err := main.start(ts); err != nil {
		return err
	}
	address, err := main.listens(addr)
	if err != nil {
		return err
	}
	ts.Setenv("MAIN", address)
	for _, name := range workers {
		if err := c.worker(name, nil).start(ts); err != nil {
			return err
		}
	}
	for _, name := range workers {
		if err := c.daemons[name].waitOnline(ts); err != nil {
			return err
		}
	}
	return nil
}

// add starts another worker.
func (c *cluster) add(ts *testscript.TestScript, name string, flags []string) error {
	d := c.worker(name, flags)
	if err := d.start(ts); err != nil {
		return err
	}
	return d.waitOnline(ts)
}

func (c *cluster) worker(name string, flags []string) *daemon {
	return c.daemon(name, "rc-workerd", append([]string{"--name=" + name, "--data=" + c.dir(name), "--slots=2", "--kill-grace=1s"}, flags...))
}

// web starts rc-web, and sets RC_WEB to its address: of http on loopback, else of https, at this host.
func (c *cluster) web(ts *testscript.TestScript, _ string, flags []string) error {
	addr := filepath.Join(c.work, "web.addr")
	os.Remove(addr) // an earlier one's
	d := c.daemon(webName, "rc-web", append([]string{"--listen=127.0.0.1:0", "--addr-file=" + addr}, flags...))
	if err := d.start(ts); err != nil {
		return err
	}
	address, err := d.listens(addr)
	if err != nil {
		return err
	}
	scheme := "http://"
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		address = "127.0.0.1:" + port
		if !slices.Contains(flags, "--insecure-http") {
			scheme = "https://"
		}
	}
	ts.Setenv("RC_WEB", scheme+address)
	return err
}

// kill ends a daemon as a power cut would.
func (c *cluster) kill(_ *testscript.TestScript, name string, _ []string) error {
	d, err := c.running(name)
	if err != nil {
		return err
	}
	d.cmd.Process.Kill()
	<-d.gone
	return nil
}

// stop asks a daemon to end, if nobody has, and waits; it must end well.
func (c *cluster) stop(_ *testscript.TestScript, name string, _ []string) error {
	d := c.daemons[name]
	if d == nil || d.cmd == nil {
		return fmt.Errorf("%s was never started", name)
	}
	if !d.asked && !d.ended() {
		d.terminate()
	}
	select {
	case <-d.gone:
	case <-time.After(patience):
		return fmt.Errorf("%s is still there after %s", name, patience)
	}
	if d.err != nil {
		return fmt.Errorf("%s ended with %v", name, d.err)
	}
	return nil
}

// term asks a daemon to end.
func (c *cluster) term(_ *testscript.TestScript, name string, _ []string) error {
	d, err := c.running(name)
	if err != nil {
		return err
	}
	d.terminate()
	return nil
}

// restart starts a daemon again that has ended, or is about to, with the same flags, data and address.
func (c *cluster) restart(ts *testscript.TestScript, name string, _ []string) error {
	d := c.daemons[name]
	if d == nil {
		return fmt.Errorf("%s was never started", name)
	}
	select {
	case <-d.gone:
	case <-time.After(patience):
		return fmt.Errorf("%s is still running", name)
	}
	if name != mainName && name != webName {
		if err := d.start(ts); err != nil {
			return err
		}
		return d.waitOnline(ts)
	}
	addr := filepath.Join(c.work, name+".addr")
	if err := os.Remove(addr); err != nil {
		return err
	}
	if err := d.start(ts); err != nil {
		return err
	}
	_, err := d.listens(addr)
	return err
}

func (c *cluster) dir(name string) string { return filepath.Join(c.work, name) }

func (c *cluster) running(name string) (*daemon, error) {
	d := c.daemons[name]
	if d == nil || d.ended() {
		return nil, fmt.Errorf("%s does not run", name)
	}
	return d, nil
}

func (c *cluster) daemon(name, program string, args []string) *daemon {
	d := &daemon{name: name, program: program, args: args, dir: c.work, log: filepath.Join(c.work, name+".log")}
	c.daemons[name] = d
	return d
}

// end stops everything, the main node last, and shows what the daemons said if the script failed.
func (c *cluster) end() {
	names := slices.SortedFunc(maps.Keys(c.daemons), func(a, b string) int {
		if (a == mainName) != (b == mainName) {
			return map[bool]int{true: 1, false: -1}[a == mainName]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if d := c.daemons[name]; name != mainName && d.cmd != nil && !d.asked {
			d.terminate()
		}
	}
	for _, name := range names {
		c.daemons[name].end()
	}
	if !c.failed() {
		return
	}
	for _, name := range names {
		c.logf("[%s.log]\n%s", name, lastLines(c.daemons[name].log, 40))
	}
}

// waitOnline waits until a worker has been welcomed in this life, and the main node knows what it can do.
func (d *daemon) waitOnline(ts *testscript.TestScript) error {
	online := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(d.name) + `\|(online|draining)(\|[^|]*){3}\|[1-9]`)
	return d.waitFor("its welcome", func() bool {
		return strings.Contains(d.said(), "msg=connected ") && online.Match(output(ts, "rc-status", "devices"))
	})
}
