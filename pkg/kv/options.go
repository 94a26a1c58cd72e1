package kv

import (
	"fmt"
	"regexp"

	"go.opentelemetry.io/otel/metric"
)

// Options describe a store to open. Both engines take them as they are.
type Options struct {
	// Name is the service's name: the file's name on bbolt, the schema on
	// PostgreSQL. It has the form of a table name.
	Name string
	// Tables are all tables the store has, in any order: [a-z][a-z0-9_]*, at
	// most MaxNameSize bytes. Missing ones are created at Open; ones that are
	// in the store and not named here are left alone.
	Tables []string
	// Meter records the engine's metrics; nil records none.
	Meter metric.Meter
}

// MaxNameSize is the most bytes in the name of a store or a table: what
// PostgreSQL keeps of an identifier.
const MaxNameSize = 63

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Check reports the first fault of o. It is a mistake in our code, never of
// an operator, so the error is a plain one.
func (o Options) Check() error {
	if !validName(o.Name) {
		return fmt.Errorf("kv: store name %q: want [a-z][a-z0-9_]*, at most %d bytes", o.Name, MaxNameSize)
	}
	if len(o.Tables) == 0 {
		return fmt.Errorf("kv: store %s declares no tables", o.Name)
	}
	seen := make(map[string]bool, len(o.Tables))
	for _, t := range o.Tables {
		if !validName(t) {
			return fmt.Errorf("kv: table name %q: want [a-z][a-z0-9_]*, at most %d bytes", t, MaxNameSize)
		}
		if seen[t] {
			return fmt.Errorf("kv: table %s is declared twice", t)
		}
		seen[t] = true
	}
	return nil
}

func validName(s string) bool { return len(s) <= MaxNameSize && namePattern.MatchString(s) }
