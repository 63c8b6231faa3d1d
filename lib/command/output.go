package command

import (
	"io"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/text"
)

// Output is embedded by the commands that print the cluster's nouns.
type Output struct {
	Format text.Format `name:"output" short:"o" placeholder:"FORMAT" help:"table, text, json, csv or tsv; without it table on a terminal, text into a pipe."`
}

// printer prints to w in the format that is right for std.Out.
func (o *Output) printer(w io.Writer, std cli.Std, env cli.Env) *text.Printer {
	width, terminal := std.Terminal()
	format := o.Format
	if format == "" {
		format = text.Text
		if terminal {
			format = text.Table
		}
	}
	style := text.Style{Width: -1, Now: time.Now()}
	if terminal {
		style.Width, style.Color = width, wantsColor(env)
	}
	return text.NewPrinter(w, format, style)
}

// wantsColor says what no-color.org and terminals that know no colours ask for.
func wantsColor(env cli.Env) bool {
	no, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	return no == "" && kind != "dumb"
}
