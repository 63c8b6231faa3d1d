package text

import "slices"

// Columns are the names of the columns of devices, tasks, events or status; nil: there is no such noun.
func Columns(noun string) []string {
	switch noun {
	case devices.name:
		return devices.fields
	case tasks.name:
		return tasks.fields
	case events.name:
		return events.fields
	case statuses.name:
		return statuses.fields
	}
	return nil
}

// Pick has the records of text, CSV and TSV show these columns, in this order. What is not printed as records otherwise, such as the lines of the log,
// then is. It is called before anything is printed.
func (p *Printer) Pick(columns []string) { p.picked = columns }

// names are the columns that are shown of those there are.
func (p *Printer) names(all []string) []string {
	if p.picked == nil {
		return all
	}
	return p.picked
}

// pick takes what is shown of a record; of what the noun has no column for nothing.
func (p *Printer) pick(all []string, record []field) []field {
	if p.picked == nil {
		return record
	}
	some := make([]field, len(p.picked))
	for i, name := range p.picked {
		if at := slices.Index(all, name); at >= 0 {
			some[i] = record[at]
		}
	}
	return some
}
