package conf

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
)

// ReasonInvalid is the reason of a configuration with faults.
const ReasonInvalid = "CONFIG_INVALID"

// Setting is one flag, --Key=Value.
type Setting struct{ Key, Value string }

// Source says where values come from, beside the defaults.
type Source struct {
	// File is the path of the YAML file; empty is none.
	File string
	// Env is in the form of os.Environ. Names without EnvPrefix are ignored,
	// and so are EnvPrefix+"TEST_…" and the names that Kubernetes makes of a
	// service called guildhall (GUILDHALL_SERVICE_HOST, GUILDHALL_PORT…).
	Env []string
	// Flags are applied in order.
	Flags []Setting
	// Ignore are environment variables that belong to the program itself.
	Ignore []string
}

// Load fills the sections' structs from the source. The error is Invalid with
// every fault found, one violation each; the structs are then in no defined
// state. A malformed section (no doc tag, a key declared twice) is a defect of
// the program and comes back as a plain error.
func Load(sections []Section, src Source) error {
	s, err := newSchema(sections)
	if err != nil {
		return err
	}
	l := &loader{schema: s, origin: map[string]string{}}
	if src.File != "" {
		text, err := os.ReadFile(src.File)
		if err != nil {
			return errs.New(errs.Invalid, ReasonInvalid, fmt.Sprintf("the configuration file cannot be read: %v", err), errs.Cause(err))
		}
		l.file(src.File, text)
	}
	l.env(src.Env, src.Ignore)
	l.flags(src.Flags)
	l.check()
	return l.err()
}

// loader applies sources and remembers where each key was last set.
type loader struct {
	*schema
	origin map[string]string // by path
	faults []fault
}

type fault struct{ where, path, problem string }

func (f fault) String() string {
	s := f.problem
	if f.path != "" {
		s = f.path + ": " + s
	}
	if f.where != "" {
		s = f.where + ": " + s
	}
	return s
}

func (l *loader) fault(where, path, problem string) {
	l.faults = append(l.faults, fault{where, path, problem})
}

// err returns all faults as one error.
func (l *loader) err() error {
	if len(l.faults) == 0 {
		return nil
	}
	lines := make([]string, len(l.faults))
	opts := make([]errs.Option, len(l.faults))
	for i, f := range l.faults {
		lines[i] = f.String()
		opts[i] = errs.Field(f.path, ReasonInvalid, f.String())
	}
	text := "the configuration has a fault:\n  "
	if len(lines) > 1 {
		text = fmt.Sprintf("the configuration has %d faults:\n  ", len(lines))
	}
	return errs.New(errs.Invalid, ReasonInvalid, text+strings.Join(lines, "\n  "), opts...)
}

// kubernetesName matches what Kubernetes puts into the environment of every
// pod beside a service called guildhall or guildhall-something.
var kubernetesName = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

func (l *loader) env(environ, ignore []string) {
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) || strings.HasPrefix(name, EnvPrefix+"TEST_") || slices.Contains(ignore, name) {
			continue
		}
		where := "environment " + name
		f, entryKey, ok := l.byEnv(name)
		switch {
		case ok:
			l.set(where, f, entryKey, value)
		case kubernetesName.MatchString(name):
		default:
			l.fault(where, "", "unknown variable"+l.nearestEnv(name))
		}
	}
}

func (l *loader) flags(settings []Setting) {
	for _, s := range settings {
		where := "flag --" + s.Key
		f, entryKey, ok := l.byFlag(s.Key)
		if !ok {
			l.fault(where, "", "unknown key"+l.nearestFlag(s.Key))
			continue
		}
		if f.holdsSecret(s.Value) {
			l.fault(where, f.path, "holds a secret, and every user of the machine can read flags: use "+envName(f.path)+" or the file")
			continue
		}
		l.set(where, f, entryKey, s.Value)
	}
}

// set gives a key its value as text, of which lists and maps are written as
// "a,b" and maps as one entry each.
func (l *loader) set(where string, f *field, entry, text string) {
	path := f.path
	var problem string
	switch {
	case entry != "":
		path += "." + entry
		l.putEntry(f, entry, text)
	case isMap(f.value.Type()):
		problem = "is a map: set one entry, as in " + f.path + ".name"
	default:
		problem = setText(f.value, text)
	}
	l.origin[path] = where
	if problem != "" {
		l.fault(where, path, problem)
	}
}

// check applies the bounds of the tags and then the structs' own rules.
func (l *loader) check() {
	if len(l.faults) > 0 {
		return // rules would blame values that were never set
	}
	for _, f := range l.fields {
		if problem := f.outOfBounds(); problem != "" {
			l.fault(l.where(f.path), f.path, problem)
		}
	}
	for _, c := range l.checkers {
		c.checker.Check(&Report{prefix: c.path, add: func(path, problem string) {
			l.fault(l.where(path), path, problem)
		}})
	}
}

func (l *loader) where(path string) string {
	if where, ok := l.origin[path]; ok {
		return where
	}
	return "default"
}
