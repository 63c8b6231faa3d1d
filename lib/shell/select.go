package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// jq selects fields of JSON as jq does: .name, .a.b, .list[0], .list[], and several of those with commas between. The rest of jq's language is not there:
// a few characters of it take all memory that there is.
type jq struct {
	Raw        bool   `short:"r" name:"raw-output" help:"Texts without quotes."`
	Compact    bool   `short:"c" name:"compact-output" help:"Each value on a line."`
	Expression string `arg:"" default:"." help:"Fields, such as .name or .attempts[0].device, several with commas between."`
}

// Run prints the selected fields of each JSON value.
func (j *jq) Run(ctx context.Context, std cli.Std) error {
	var paths []path
	for text := range strings.SplitSeq(j.Expression, ",") {
		p, err := parsePath(strings.TrimSpace(text))
		if err != nil {
			return cli.Exit(StatusUsage, err)
		}
		paths = append(paths, p)
	}
	in := json.NewDecoder(io.LimitReader(std.In, mostHeld))
	for ctx.Err() == nil {
		var value json.RawMessage
		if err := in.Decode(&value); err == io.EOF {
			return nil
		} else if err != nil {
			return cli.Exit(cli.BadInput, fmt.Errorf("not JSON: %w", err))
		}
		for _, p := range paths {
			if err := p.each(value, func(v json.RawMessage) error { return j.print(std.Out, v) }); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// step is one step into a value: a field, an element, or all of them.
type step struct {
	field   string
	element int
	kind    byte // f, e, or a
}

type path []step

func parsePath(text string) (p path, err error) {
	rest, ok := strings.CutPrefix(text, ".")
	if !ok {
		return nil, fmt.Errorf("%.60q: a selection begins with a dot, as .name", text)
	}
	for first := true; rest != ""; first = false {
		if inside, isList := strings.CutPrefix(rest, "["); isList {
			index, after, closed := strings.Cut(inside, "]")
			if !closed {
				return nil, fmt.Errorf("%.60q: a ] is missing", text)
			}
			s := step{kind: 'a'}
			if index != "" {
				if s.element, err = strconv.Atoi(index); err != nil {
					return nil, fmt.Errorf("%.60q: %.20q is no number", text, index)
				}
				s.kind = 'e'
			}
			p, rest = append(p, s), after
			continue
		}
		if !first {
			if rest, ok = strings.CutPrefix(rest, "."); !ok {
				return nil, fmt.Errorf("%.60q: fields, with dots between", text)
			}
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		if name == "" || strings.ContainsAny(name, " |()*+<>=?;\"") {
			return nil, fmt.Errorf("%.60q: this selects fields, .a.b or .a[0], and does no more of what jq does", text)
		}
		p, rest = append(p, step{field: name, kind: 'f'}), rest[end:]
	}
	return p, nil
}

// each calls do with what a path leads to; with null, where it leads nowhere.
func (p path) each(v json.RawMessage, do func(json.RawMessage) error) error {
	if len(p) == 0 {
		return do(v)
	}
	null := json.RawMessage("null")
	if p[0].kind == 'f' {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(v, &fields); err != nil {
			return fmt.Errorf("what has the field %.40q is no object", p[0].field)
		}
		if found, ok := fields[p[0].field]; ok {
			null = found
		}
		return p[1:].each(null, do)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(v, &elements); err != nil {
		return fmt.Errorf("what is to have elements is no list")
	}
	if p[0].kind == 'e' {
		at := p[0].element
		if at < 0 {
			at += len(elements)
		}
		if at >= 0 && at < len(elements) {
			null = elements[at]
		}
		return p[1:].each(null, do)
	}
	for _, e := range elements {
		if err := p[1:].each(e, do); err != nil {
			return err
		}
	}
	return nil
}

func (j *jq) print(w io.Writer, v json.RawMessage) error {
	var text string
	if j.Raw && json.Unmarshal(v, &text) == nil && bytes.HasPrefix(bytes.TrimSpace(v), []byte(`"`)) {
		return printer{w}.line(text)
	}
	var out bytes.Buffer
	if j.Compact {
		if err := json.Compact(&out, v); err != nil {
			return err
		}
	} else if err := json.Indent(&out, v, "", "  "); err != nil {
		return err
	}
	return printer{w}.line(out.String())
}
