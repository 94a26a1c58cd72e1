// Package conf reads a process's configuration: one YAML file, the
// environment and flags, into plain structs that hold the defaults.
//
// It is strict, because a misspelt key that is silently ignored is an outage
// in waiting: an unknown key in any source is an error that names the nearest
// known one and where it was found, and all faults are reported at once.
//
// # Where a value comes from
//
// Later sources win: the struct's own value (the default), the file, the
// environment, flags. The name of a key is the same in all of them, derived
// from its path in the file:
//
//	process: {grpc: {address: …}}    process.grpc.address   in the file
//	GUILDHALL_GRPC_ADDRESS           environment: upper case, dots to underscores
//	--grpc.address=…                 flag: the path
//
// In flags and in the environment the first word "process" may be left out;
// the names of services may not (GUILDHALL_PERMISSION_STORE,
// --permission.store).
//
// # Describing a section
//
// A section is a struct whose exported fields have a yaml tag. Further tags:
//
//	doc:"…"            a sentence, printed by `config default`; required
//	secret:"true"      printed as ****, and refused in flags
//	secret:"url"       a URL: the same, of its password only
//	enum:"json,text"   the values allowed
//	min:"1" max:"9"    bounds, in the key's own notation ("5s", "4MiB")
//
// Fields are strings, booleans, integers, floats, time.Duration ("5s"), Size
// ("4MiB"), encoding.TextUnmarshaler, structs of these, slices, and
// map[string]string. A list of scalars may be written "a,b" everywhere. A
// struct that needs more than tags implements Checker.
//
// The package holds the one section every process has (Process) but no
// service's: those are the services' own.
package conf

import (
	"slices"
	"strings"
)

// EnvPrefix begins the name of every environment variable that is read.
const EnvPrefix = "GUILDHALL_"

// processSection is the section whose name may be left out of flags and
// environment variables.
const processSection = "process"

// Section is one top-level part of the file.
type Section struct {
	// Name is its key, as in "process" or "permission".
	Name string
	// Values are pointers to structs whose keys together make the section. They
	// hold the defaults and are filled by Load. Nil pointers of interface type
	// any (no configuration) are skipped.
	Values []any
}

// Checker is a configuration struct with rules that tags cannot say. Check is
// called after all sources are read, on every struct of the tree.
type Checker interface {
	Check(r *Report)
}

// Report takes what a Checker finds.
type Report struct {
	prefix string
	add    func(path, problem string)
}

// Fault records a problem with a key of the struct being checked, as in
// ("token_ttl", "must be at least 1m"). It never quotes a secret.
func (r *Report) Fault(key, problem string) { r.add(r.prefix+"."+key, problem) }

// Key describes one key of the configuration.
type Key struct {
	// Path is the key in the file, as in "process.grpc.address". The entries
	// of a map end in ".*".
	Path string
	// Env is the environment variable, Flag the flag without its dashes.
	Env, Flag string
	// Type is how a value is written: string, bool, int, duration, size, list…
	Type string
	// Default is the default value as printed, masked when secret.
	Default string
	// Doc is the sentence of the doc tag.
	Doc    string
	Secret bool
}

// Keys returns every key of the sections, in the order of their fields.
// Sections must be well-formed: see Load.
func Keys(sections ...Section) ([]Key, error) {
	s, err := newSchema(sections)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(s.fields))
	for _, f := range s.fields {
		key := Key{
			Path: f.path, Env: envName(f.path), Flag: flagName(f.path),
			Type: typeName(f.value.Type()), Default: f.masked(), Doc: f.doc, Secret: f.secret != secretNo,
		}
		if isMap(f.value.Type()) {
			key.Path, key.Env, key.Flag = key.Path+".*", key.Env+"_*", key.Flag+".*"
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// flagName leaves the process section out of a path.
func flagName(path string) string {
	return strings.TrimPrefix(path, processSection+".")
}

// envName is the documented environment variable of a path.
func envName(path string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flagName(path), ".", "_"))
}

// Settable reports whether a flag of this name, without dashes, sets a key of
// the sections or was meant to: it is a key's path, or it has a dot. isBool
// says that the flag may stand without a value.
func Settable(name string, sections ...Section) (settable, isBool bool) {
	s, err := newSchema(sections)
	if err != nil {
		return strings.Contains(name, "."), false
	}
	if f, _, ok := s.byFlag(name); ok {
		return true, typeName(f.value.Type()) == "bool"
	}
	return strings.Contains(name, "."), false
}

// sectionNames returns the names of the sections, for messages.
func sectionNames(sections []Section) string {
	var names []string
	for _, s := range sections {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}
