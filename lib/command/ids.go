package command

import (
	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// checkIDs says before anything is sent which id cannot be the beginning of a task's.
func checkIDs(ids []string) error {
	for _, id := range ids {
		if _, err := task.ParsePrefix(id); err != nil {
			return cli.Exit(cli.BadInput, err)
		}
	}
	return nil
}

func parseJobs(texts []string) (jobs []task.JobID, err error) {
	for _, text := range texts {
		j, err := task.ParseJobID(text)
		if err != nil {
			return nil, cli.Exit(cli.BadInput, err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}
