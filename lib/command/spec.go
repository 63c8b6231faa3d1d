package command

import (
	"io"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Spec is the flags that say what to run and where.
type Spec struct {
	Shell    string            `short:"c" placeholder:"SCRIPT" help:"Run a script with sh, not a program."`
	Type     string            `placeholder:"TYPE" help:"Run a task of this type with --payload."`
	Payload  string            `placeholder:"JSON" help:"What the type wants to know; @FILE or - (stdin) to read it."`
	Each     bool              `help:"A task for each line of stdin, which stands for {} in what is run, or is added to it."`
	JSON     bool              `name:"json" help:"A task for each line of stdin: a JSON object."`
	Name     string            `help:"Name for people."`
	Priority task.Priority     `default:"normal" placeholder:"PRIORITY" help:"low, normal, high or urgent."`
	Timeout  cli.Duration      `default:"0s" help:"Stop a run that takes longer; 0 never."`
	Retries  int               `default:"0" help:"How often to run it again when it fails."`
	Backoff  cli.Duration      `default:"2s" help:"With --retries: wait this long before the first, and twice as long each time after that, up to 5m."`
	RetryOn  []int             `placeholder:"STATUS" help:"With --retries: only after these exit statuses; 124 is a timeout."`
	Once     bool              `name:"at-most-once" help:"Never begin it twice: if its device is lost it fails."`
	Alone    bool              `name:"exclusive" help:"Never run it twice at the same time: a device that is cut off ends it."`
	Require  []string          `placeholder:"WHAT" help:"What a device must have: cpu=2, mem=1GiB, storage=10GiB, platform=android, role=mobile, tag=x, sandbox=2, gpu."`
	Device   string            `placeholder:"NAME" help:"Run on this device and no other."`
	CPUs     float64           `name:"cpus" default:"0" placeholder:"N" help:"Let it keep no more processors busy, as 0.5; 0 any number."`
	Memory   cli.Bytes         `default:"0" placeholder:"SIZE" help:"End it when it uses more memory; 0 never."`
	Procs    int               `name:"processes" default:"0" placeholder:"N" help:"End it when it has more processes; 0 never."`
	Disk     cli.Bytes         `default:"0" placeholder:"SIZE" help:"End it when its directory holds more; 0 never."`
	In       []string          `placeholder:"[NAME=]FILE" sep:"none" help:"File or directory to send along; may be given again."`
	Out      []string          `placeholder:"PATTERN" sep:"none" help:"What to bring back of the files that it leaves; may be given again."`
	Env      map[string]string `placeholder:"K=V" mapsep:"none" help:"Variable for the task; may be given again."`
	Secret   []string          `placeholder:"NAME[=@FILE]" sep:"none" help:"Variable for the task that is hidden wherever it is shown, from rc-submit's own environment or a file; may be given again."`
	Argv     []string          `arg:"" optional:"" name:"command" passthrough:"partial" help:"Program to run, with its arguments."`

	found  inputs
	hidden *task.Secrets // that --secret names
}

// specs makes the tasks and checks every one.
func (s *Spec) specs(stdin io.Reader) ([]task.Spec, error) {
	s.Argv = withoutDashes(s.Argv)
	if err := s.checkMode(); err != nil {
		return nil, err
	}
	common, err := s.common()
	if err != nil {
		return nil, err
	}
	switch {
	case s.JSON:
		return s.fromJSON(stdin, common)
	case s.Each:
		return s.fromLines(stdin, common)
	}
	return s.fromFlags(stdin, common)
}

// fromFlags makes the one task that the flags describe.
func (s *Spec) fromFlags(stdin io.Reader, common task.Spec) ([]task.Spec, error) {
	if err := s.loadPayload(stdin); err != nil {
		return nil, err
	}
	spec, err := s.fill(common, nil)
	if err == nil {
		err = spec.Validate()
	}
	if err != nil {
		return nil, cli.Exit(cli.BadInput, err)
	}
	return []task.Spec{spec}, nil
}

// withoutDashes takes away the "--" that ends the flags, which kong leaves there for who wants it.
func withoutDashes(argv []string) []string {
	if len(argv) > 0 && argv[0] == "--" {
		return argv[1:]
	}
	return argv
}

// checkMode says whether there is exactly one thing to run.
func (s *Spec) checkMode() error {
	given := 0
	for _, is := range []bool{len(s.Argv) > 0, s.Shell != "", s.Type != "", s.JSON} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return usage("give one of a command, --shell, --type and --json (see rc-submit --help)")
	case s.Payload != "" && s.Type == "":
		return usage("--payload goes with --type")
	case s.Each && s.JSON:
		return usage("--each and --json both read stdin")
	case s.Each && s.Payload == "-":
		return usage("--each and --payload - both read stdin")
	case s.Each && s.Shell != "" && !strings.Contains(s.Shell, hole):
		return usage("--each: say with {} in --shell where the line goes")
	}
	return nil
}

// common is what all tasks have in common.
func (s *Spec) common() (task.Spec, error) {
	r, err := parseRequirements(s.Require)
	if err != nil {
		return task.Spec{}, cli.Exit(cli.Usage, err)
	}
	if s.Device != "" {
		if r.Device != "" && r.Device != s.Device {
			return task.Spec{}, usage("--device %s and --require device=%s", s.Device, r.Device)
		}
		r.Device = s.Device
	}
	policy, err := s.policy()
	if err != nil {
		return task.Spec{}, err
	}
	return task.Spec{
		Name: s.Name, Priority: s.Priority, Timeout: time.Duration(s.Timeout).Seconds(),
		Retries: s.Retries, Requirements: r, Policy: policy, Provision: task.Provision{Limits: s.limits(), Secrets: s.hidden},
	}, nil
}

// limits is what a run may use; nil: as much as the device has.
func (s *Spec) limits() *task.Limits {
	l := task.Limits{Memory: int64(s.Memory), Processes: s.Procs, Disk: int64(s.Disk), CPUs: s.CPUs}
	if l == (task.Limits{}) {
		return nil
	}
	return &l
}

// policy is how often the tasks may run.
func (s *Spec) policy() (task.Policy, error) {
	p := task.Policy{Exclusive: s.Alone, AtMostOnce: s.Once, RetryOn: s.RetryOn}
	wait := time.Duration(s.Backoff).Seconds()
	switch {
	case s.Retries == 0 && len(s.RetryOn) > 0:
		return p, usage("--retry-on goes with --retries")
	case s.Retries == 0 && wait != 0 && wait != task.DefaultBackoff:
		return p, usage("--backoff goes with --retries")
	case s.Retries > 0 && s.Once:
		return p, usage("--at-most-once and --retries exclude each other")
	case s.Retries > 0 && wait != task.DefaultBackoff:
		p.Backoff = max(wait, task.MinBackoff)
	}
	return p, nil
}

// fromLines makes a task of each line.
func (s *Spec) fromLines(stdin io.Reader, common task.Spec) ([]task.Spec, error) {
	if err := s.loadPayload(nil); err != nil {
		return nil, err
	}
	if _, holes := fillJSON(s.Payload, ""); s.Type != "" && holes == 0 {
		return nil, usage(`--each: say with "{}" in --payload where the line goes`)
	}
	var specs []task.Spec
	err := eachLine(stdin, func(line []byte) error {
		text := string(line)
		spec, err := s.fill(common, &text)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
		return spec.Validate()
	})
	return specs, err
}

// fill makes a task; line, where there is one, goes into the holes.
func (s *Spec) fill(common task.Spec, line *string) (spec task.Spec, err error) {
	spec = common
	if spec.Files, err = s.files(line); err != nil {
		return spec, err
	}
	argv, script := s.Argv, s.Shell
	if line != nil {
		argv, script = fillArgv(argv, *line), fillShell(script, *line)
		spec.Name = strings.ReplaceAll(spec.Name, hole, *line)
	}
	switch {
	case len(s.Argv) > 0:
		spec.Type = task.TypeCommand
		spec.Payload, err = encode(&task.Command{Argv: argv, Environment: s.Env})
	case s.Shell != "":
		spec.Type = task.TypeShell
		spec.Payload, err = encode(&task.Shell{Script: script, Environment: s.Env})
	default:
		spec.Type = s.Type
		spec.Payload, err = s.payload(line)
	}
	return spec, err
}
