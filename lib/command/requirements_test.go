package command

import (
	"reflect"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestRequirements(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  task.Requirements
		wrong string
	}{
		{"", task.Requirements{}, ""},
		{"cpu=2,mem=1GiB", task.Requirements{CPUCores: 2, MemoryGB: 1}, ""},
		{"mem=512MiB,storage=10GiB", task.Requirements{MemoryGB: 0.5, StorageGB: 10}, ""},
		{"platform=android,role=mobile,device=pixel-3a", task.Requirements{Platform: "android", Role: "mobile", Device: "pixel-3a"}, ""},
		{"tag=a,tag=b,gpu", task.Requirements{Tags: []string{"a", "b"}, GPU: true}, ""},
		{" cpu=1", task.Requirements{CPUCores: 1}, ""},
		{"cpu=1,cpu=2", task.Requirements{}, "cpu is given twice"},
		{"gpu,gpu", task.Requirements{}, "gpu is given twice"},
		{"cpu=-1", task.Requirements{}, "number of cores"},
		{"cpu=two", task.Requirements{}, "number of cores"},
		{"cpu", task.Requirements{}, "one of cpu=N"},
		{"cpu=", task.Requirements{}, "one of cpu=N"},
		{"gpu=yes", task.Requirements{}, "one of cpu=N"},
		{"mem=1x", task.Requirements{}, "unknown unit"},
		{"ram=1", task.Requirements{}, "one of cpu=N"},
		{"=1", task.Requirements{}, "one of cpu=N"},
	} {
		var items []string
		if tt.text != "" {
			items = strings.Split(tt.text, ",")
		}
		got, err := parseRequirements(items)
		switch {
		case tt.wrong == "" && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("%q: %+v, %v; want %+v", tt.text, got, err, tt.want)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%q: %v; want %q", tt.text, err, tt.wrong)
		}
	}
}

// FuzzRequirements checks that what is taken is not negative, and that the order does not matter.
func FuzzRequirements(f *testing.F) {
	for _, seed := range []string{"cpu=2,mem=1GiB", "tag=x,gpu", "storage=1.5T", "cpu=", ",", "=", "gpu=1", "mem=9999999999TiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		items := strings.Split(text, ",")
		r, err := parseRequirements(items)
		if err != nil {
			return
		}
		if r.CPUCores < 0 || r.MemoryGB < 0 || r.StorageGB < 0 {
			t.Fatalf("%+v", r)
		}
		for i := range len(items) / 2 {
			items[i], items[len(items)-1-i] = items[len(items)-1-i], items[i]
		}
		back, err := parseRequirements(items)
		if err != nil || back.CPUCores != r.CPUCores || back.MemoryGB != r.MemoryGB || len(back.Tags) != len(r.Tags) || back.Device != r.Device {
			t.Fatalf("backwards %+v, %v", back, err)
		}
	})
}
