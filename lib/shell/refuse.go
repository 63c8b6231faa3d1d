package shell

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Bounds of what a line may be. The interpreter itself has none: what it does in one step it does to the end, however much memory that takes.
const (
	MaxLine   = 8 << 10 // bytes
	mostWords = 10_000  // that the braces of a line become
	mostOpen  = 64      // braces, and commands within commands
	mostPipes = 64
)

// parse reads a line, and refuses what reaches beyond it.
func parse(line string) (*syntax.File, error) {
	if len(line) > MaxLine {
		return nil, fmt.Errorf("a line of %d bytes: at most %d", len(line), MaxLine)
	}
	if strings.Count(line, "{") > mostOpen {
		return nil, fmt.Errorf("more than %d braces", mostOpen)
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		return nil, err
	}
	l := new(limits)
	syntax.Walk(file, func(n syntax.Node) bool {
		if n == nil {
			l.depth--
			return true
		}
		l.depth++
		if err == nil {
			err = l.refuse(n)
		}
		if err != nil {
			l.depth-- // there will be no end of it
		}
		return err == nil
	})
	return file, err
}

// limits counts what a line has.
type limits struct{ depth, words, pipes int }

// ofTheHost are variables that tell of the process and its user.
var ofTheHost = map[string]bool{"$": true, "!": true, "PPID": true, "UID": true, "EUID": true, "GID": true, "BASHPID": true, "HOSTNAME": true, "RANDOM": false}

// refuse says what is wrong with a piece of a line.
func (l *limits) refuse(n syntax.Node) error {
	if l.depth > 8*mostOpen {
		return errors.New("commands nested too deep")
	}
	switch n := n.(type) {
	case *syntax.ProcSubst:
		return errors.New("<(…) and >(…) are not for here: use a pipe")
	case *syntax.CoprocClause:
		return errors.New("coproc is not for here")
	case *syntax.FuncDecl:
		return errors.New("functions are not for here")
	case *syntax.Stmt:
		if n.Background {
			return errors.New("& is not for here: a task runs by itself, without --wait")
		}
	case *syntax.BinaryCmd:
		if l.pipes++; l.pipes > mostPipes {
			return fmt.Errorf("more than %d commands in a line", mostPipes)
		}
	case *syntax.ParamExp:
		return refuseParameter(n)
	case *syntax.Word:
		return l.refuseWord(n)
	}
	return nil
}

func refuseParameter(n *syntax.ParamExp) error {
	switch {
	case n.Repl != nil:
		return errors.New("${…/…/…} is not for here: use sed")
	case n.Param != nil && ofTheHost[n.Param.Value]:
		return fmt.Errorf("$%s is not for here", n.Param.Value)
	}
	return nil
}

func (l *limits) refuseWord(w *syntax.Word) error {
	if home, ok := w.Parts[0].(*syntax.Lit); ok && len(home.Value) > 1 && home.Value[0] == '~' && home.Value[1] != '/' {
		return fmt.Errorf("%.40s: there are no homes here", home.Value)
	}
	if l.words += braces(w) - 1; l.words > mostWords {
		return fmt.Errorf("braces that become more than %d words", mostWords)
	}
	return nil
}

// braces is how many words the braces in a word become, or some number above mostWords.
func braces(w *syntax.Word) int {
	many, split := 1, &syntax.Word{Parts: append([]syntax.WordPart(nil), w.Parts...)}
	syntax.SplitBraces(split)
	for _, part := range split.Parts {
		if b, ok := part.(*syntax.BraceExp); ok {
			many *= brace(b)
		}
		if many > mostWords {
			return mostWords + 2
		}
	}
	return many
}

func brace(b *syntax.BraceExp) int {
	if !b.Sequence {
		sum := 0
		for _, e := range b.Elems {
			sum += braces(e)
		}
		return sum
	}
	if len(b.Elems) < 2 || len(b.Elems[0].Lit()) > 6 || len(b.Elems[1].Lit()) > 6 {
		return mostWords + 1
	}
	var from, to int
	fmt.Sscan(b.Elems[0].Lit(), &from)
	fmt.Sscan(b.Elems[1].Lit(), &to)
	return max(from-to, to-from) + 1
}
