package cluster

import (
	"fmt"
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Grant is what a token for submitting may submit. The zero value is for what runs no program of the submitter's choice.
type Grant struct {
	Exec  bool     `json:"exec,omitempty"`       // all types, also those that run programs
	Types []string `json:"task_types,omitempty"` // these and no others, whatever they run
	Tags  []string `json:"tags,omitempty"`       // only on devices that have all of these
	Rate  int      `json:"rate,omitempty"`       // tasks in a minute, over a long time; 0: any
}

// Whole is the grant without bounds.
var Whole = Grant{Exec: true}

// Allows says whether tasks of a type may be submitted.
func (g *Grant) Allows(taskType string) bool {
	if len(g.Types) > 0 {
		return slices.Contains(g.Types, taskType)
	}
	return g.Exec || !task.RunsProgram(taskType)
}

// Validate says what is wrong with a grant.
func (g *Grant) Validate() error {
	if g.Exec && len(g.Types) > 0 {
		return fmt.Errorf("either all types or some: exec and task_types exclude each other")
	}
	if len(g.Types) > task.MaxTags || g.Rate < 0 || g.Rate > 1_000_000 {
		return fmt.Errorf("at most %d task_types, and a rate between 0 and a million", task.MaxTags)
	}
	for _, t := range g.Types {
		if err := task.CheckType(t); err != nil {
			return err
		}
	}
	needs := task.Requirements{Tags: g.Tags}
	return needs.Validate()
}

// Confine adds to a task's requirements that its device has the grant's tags.
func (g *Grant) Confine(needs *task.Requirements) {
	for _, tag := range g.Tags {
		if !slices.Contains(needs.Tags, tag) {
			needs.Tags = append(slices.Clip(needs.Tags), tag)
		}
	}
}
