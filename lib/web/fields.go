package web

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// fields reads ?fields=: which fields of the things that are shown one wants.
func fieldsOf[T any](q *query) []string {
	names := q.list("fields")
	known := jsonNames(reflect.TypeFor[T]())
	for _, name := range names {
		if !slices.Contains(known, name) {
			q.fail(invalid("unknown field %.40q: possible are %s", name, strings.Join(known, ", ")))
		}
	}
	return names
}

// jsonNames are the names that a struct's fields have in JSON.
func jsonNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, jsonNames(f.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// picked is an answer of which only some fields are wanted: of the thing itself, or of those in its list.
type picked struct {
	data   any
	list   string // empty: the thing itself
	fields []string
}

// pick picks what is wanted, if not all is.
func pick(data any, list string, fields []string) any {
	if len(fields) == 0 {
		return data
	}
	return &picked{data, list, fields}
}

// MarshalJSON writes what was picked.
func (p *picked) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(p.data)
	if err != nil {
		return nil, err
	}
	if p.list == "" {
		return p.of(b)
	}
	var whole map[string]json.RawMessage
	var things []json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(whole[p.list], &things); err != nil {
		return nil, err
	}
	for i := range things {
		if things[i], err = p.of(things[i]); err != nil {
			return nil, err
		}
	}
	if whole[p.list], err = json.Marshal(things); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

func (p *picked) of(thing []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(thing, &all); err != nil {
		return nil, err
	}
	some := map[string]json.RawMessage{}
	for _, name := range p.fields {
		if v, there := all[name]; there {
			some[name] = v
		}
	}
	return json.Marshal(some)
}
