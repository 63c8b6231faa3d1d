package command

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

const requirementNames = "cpu=N, mem=SIZE, storage=SIZE, platform=NAME, role=NAME, tag=NAME, device=NAME, sandbox=LEVEL, gpu"

// parseRequirements reads what --require says: cpu=2, mem=1GiB, tag=kitchen, gpu. Only tags may stand there more than once.
func parseRequirements(items []string) (task.Requirements, error) {
	var r task.Requirements
	seen := map[string]bool{}
	for _, item := range items {
		name, value, has := strings.Cut(strings.TrimSpace(item), "=")
		if seen[name] && name != "tag" {
			return r, fmt.Errorf("--require: %s is given twice", name)
		}
		seen[name] = true
		if err := setRequirement(&r, name, value, has); err != nil {
			return r, fmt.Errorf("--require %.60q: %w", item, err)
		}
	}
	return r, nil
}

func setRequirement(r *task.Requirements, name, value string, has bool) (err error) {
	if has == (name == "gpu") || has && value == "" {
		return fmt.Errorf("one of %s", requirementNames)
	}
	switch name {
	case "cpu":
		r.CPUCores, err = parseCores(value)
	case "mem":
		r.MemoryGB, err = parseGB(value)
	case "storage":
		r.StorageGB, err = parseGB(value)
	case "platform":
		r.Platform = value
	case "role":
		r.Role = value
	case "tag":
		r.Tags = append(r.Tags, value)
	case "device":
		r.Device = value
	case "sandbox":
		r.Sandbox, err = parseLevel(value)
	case "gpu":
		r.GPU = true
	default:
		err = fmt.Errorf("one of %s", requirementNames)
	}
	return err
}

func parseCores(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("a number of cores")
	}
	return int(n), nil
}

func parseLevel(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil || n > task.MaxSandbox {
		return 0, fmt.Errorf("a level between 0 and %d", task.MaxSandbox)
	}
	return int(n), nil
}

// parseGB gives a size in units of 2^30 bytes. No device has a part of a byte less than what is asked for.
func parseGB(value string) (float64, error) {
	var b cli.Bytes
	if err := b.UnmarshalText([]byte(value)); err != nil {
		return 0, err
	}
	return math.Ldexp(float64(b), -30), nil
}
