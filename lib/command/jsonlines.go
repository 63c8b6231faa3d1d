package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// fromJSON reads a task from each line that is not empty; the flags say what the line does not.
func (s *Spec) fromJSON(stdin io.Reader, common task.Spec) ([]task.Spec, error) {
	var specs []task.Spec
	err := eachLine(stdin, func(line []byte) error {
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		spec, err := decodeSpec(line, common)
		if err == nil && spec.Files == nil {
			spec.Files, err = s.files(nil)
		}
		if err == nil {
			spec.Payload, err = withEnvironment(spec.Payload, s.Env)
		}
		if err != nil {
			return err
		}
		specs = append(specs, spec)
		return spec.Validate()
	})
	return specs, err
}

// decodeSpec reads a task strictly: a misspelt field is no wish that may be overlooked.
func decodeSpec(line []byte, common task.Spec) (task.Spec, error) {
	spec := common
	spec.Requirements.Tags = slices.Clone(common.Requirements.Tags) // decoding writes into it
	if common.Limits != nil {
		own := *common.Limits // and into this
		spec.Limits = &own
	}
	if common.Secrets != nil {
		own := maps.Clone(*common.Secrets)
		spec.Secrets = &own
	}
	if err := wire.CheckJSON(line); err != nil {
		return spec, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return spec, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return spec, errors.New("more than one JSON object")
	}
	return spec, nil
}
