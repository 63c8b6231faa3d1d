package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// Limits of what is read from standard input.
const (
	maxLine  = 1 << 20 // bytes
	maxInput = 1 << 30 // bytes
	maxLines = 1_000_000
)

// eachLine calls do with each line, without the end of the line, and its number from 1. What is wrong with a line is
// said with its number.
func eachLine(r io.Reader, do func(line []byte) error) error {
	lines := bufio.NewScanner(io.LimitReader(r, maxInput))
	lines.Buffer(nil, maxLine)
	lines.Split(splitLine)
	number := 0
	for lines.Scan() {
		if number++; number > maxLines {
			return badInput("more than %d lines; submit them in parts", maxLines)
		}
		line := lines.Bytes()
		if !utf8.Valid(line) {
			return badInput("line %d: not UTF-8", number)
		}
		if err := do(line); err != nil {
			return badInput("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return badInput("line %d: longer than %d bytes", number+1, maxLine)
	} else if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return nil
}

// splitLine is a bufio.SplitFunc that takes lines as they are: a name may end with \r, except on Windows, where lines do.
func splitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, withoutReturn(data[:i]), nil
	}
	if atEOF && len(data) > 0 {
		return len(data), withoutReturn(data), nil
	}
	return 0, nil, nil
}

func withoutReturn(line []byte) []byte {
	if os.PathSeparator == '\\' {
		return bytes.TrimSuffix(line, []byte("\r"))
	}
	return line
}
