package cli

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// maxConfig is the greatest size of a configuration file in bytes: a device file named by mistake must not fill the memory.
const maxConfig = 1 << 20

// Config is embedded by the daemons: it gives them --config.
// The file is one JSON object whose keys are the names of flags with "_" for "-": {"log_level": "debug", "listen": [":1", ":2"]}.
type Config struct {
	Path string `name:"config" placeholder:"FILE" env:"-" config:"" help:"JSON file with settings, named like the flags."`
}

// configFile is a file that was read.
type configFile struct {
	path    string
	entries map[string]entry // by the name of the flag in the file
}

// entry is one setting of a file.
type entry struct {
	key   string // in snake_case
	line  int    // of the key, from 1
	value any    // string, json.Number, bool, []any, map[string]any or nil
}

// readFile reads the file that --config names, once.
func (s *settings) readFile(parsed *kong.Context) error {
	if s.file != nil {
		return nil
	}
	s.file = &configFile{}
	for _, flag := range parsed.Flags() {
		if path := fmt.Sprint(parsed.FlagValue(flag)); flag.Tag.Has("config") && path != "" {
			return s.file.read(path, s.configurable(parsed.Model.Node))
		}
	}
	return nil
}

// configurable returns the keys that a file may have: the flags of the command and of all its sub-commands, but for those that no variable sets
// either, since they are for one call.
func (s *settings) configurable(node *kong.Node) map[string]bool {
	keys := map[string]bool{}
	for _, flag := range node.Flags {
		if len(s.variables[flag.Value]) > 0 {
			keys[snake(flag.Name)] = true
		}
	}
	for _, child := range node.Children {
		for key := range s.configurable(child) {
			keys[key] = true
		}
	}
	return keys
}

// snake is a flag's name as a key of the file.
func snake(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

func (c *configFile) read(path string, known map[string]bool) error {
	c.path, c.entries = path, map[string]entry{}
	data, err := readBounded(path)
	if err != nil {
		return &settingError{path, BadConfig, err}
	}
	entries, line, err := parseConfig(data)
	if err != nil {
		return c.refuse(line, err)
	}
	for _, e := range entries {
		if !known[e.key] {
			return c.refuse(e.line, unknownKey(e.key, known))
		}
		c.entries[e.key] = e
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // the path is said already
		}
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("larger than %s", Bytes(maxConfig))
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

func (c *configFile) refuse(line int, err error) error {
	return &settingError{fmt.Sprintf("%s:%d", c.path, line), BadConfig, err}
}

func unknownKey(key string, known map[string]bool) error {
	if best := nearest(key, known); best != "" {
		return fmt.Errorf("unknown setting %q, did you mean %q?", key, best)
	}
	return fmt.Errorf("unknown setting %q", key)
}

// resolve returns the file's value of a flag as kong decodes it, nil if it has none.
func (c *configFile) resolve(flag *kong.Flag) (any, error) {
	e, ok := c.entries[snake(flag.Name)]
	if !ok {
		return nil, nil
	}
	value, err := fromJSON(flag, e.value)
	if err == nil {
		err = try(flag, value)
	}
	if err != nil {
		return nil, c.refuse(e.line, fmt.Errorf("%s: %w", e.key, err))
	}
	return value, nil
}

// parseConfig reads one JSON object. With an error comes the line where it is.
func parseConfig(data []byte) (entries []entry, line int, err error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors begin a file so
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, lineOf(data, syntaxOffset(err, data)), err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if token, _ := dec.Token(); token != json.Delim('{') {
		return nil, lineOf(data, dec.InputOffset()), errors.New("expected an object: {…}")
	}
	seen := map[string]bool{}
	for dec.More() {
		e, err := nextEntry(dec, data)
		if err == nil && seen[e.key] {
			err = fmt.Errorf("%q is set twice", e.key)
		}
		if err != nil {
			return nil, e.line, err
		}
		seen[e.key] = true
		entries = append(entries, e)
	}
	return entries, 0, nil
}

func nextEntry(dec *json.Decoder, data []byte) (entry, error) {
	token, err := dec.Token()
	e := entry{line: lineOf(data, dec.InputOffset())}
	if err != nil {
		return e, err
	}
	key, _ := token.(string)
	e.key = snake(key)
	return e, dec.Decode(&e.value)
}

func syntaxOffset(err error, data []byte) int64 {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return e.Offset
	}
	return int64(len(data))
}

// lineOf returns the line, from 1, of the byte before offset.
func lineOf(data []byte, offset int64) int {
	end := min(max(offset-1, 0), int64(len(data)))
	return bytes.Count(data[:end], []byte("\n")) + 1
}

// fromJSON turns a JSON value into what kong decodes for this flag; a value of another type is refused.
func fromJSON(flag *kong.Flag, value any) (any, error) {
	t := flag.Target.Type()
	switch {
	case flag.IsSlice() && flag.Tag.Type == "":
		return listFromJSON(flag, t.Elem(), value)
	case flag.IsMap():
		if object, ok := value.(map[string]any); ok {
			return object, nil
		}
		return nil, fmt.Errorf("expected an object, got %s", kindOf(value))
	}
	return scalarFromJSON(t, value)
}

func listFromJSON(flag *kong.Flag, elem reflect.Type, value any) (any, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("expected an array, got %s", kindOf(value))
	}
	texts := make([]string, len(list))
	for i, item := range list {
		text, err := scalarFromJSON(elem, item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
		texts[i] = text
	}
	if elem.Kind() == reflect.String && !decodesText(elem) || flag.Tag.Sep == -1 {
		return list, nil // as it is, whatever separators it contains
	}
	return kong.JoinEscaped(texts, flag.Tag.Sep), nil
}

// scalarFromJSON returns the text that would stand on the command line.
func scalarFromJSON(t reflect.Type, value any) (string, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	number := t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64 && t != reflect.TypeFor[time.Duration]()
	text := decodesText(t)
	switch v := value.(type) {
	case bool:
		if t.Kind() == reflect.Bool {
			return fmt.Sprint(v), nil
		}
	case json.Number:
		if number {
			return v.String(), nil
		}
	case string:
		if text || !number && t.Kind() != reflect.Bool {
			return v, nil
		}
	}
	want := "a string"
	if t.Kind() == reflect.Bool {
		want = "true or false"
	} else if number && !text {
		want = "a number"
	}
	return "", fmt.Errorf("expected %s, got %s", want, kindOf(value))
}

func decodesText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// kindOf names the type of a JSON value.
func kindOf(value any) string {
	switch value.(type) {
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "null"
}
