package authzen

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"guildhall.dev/pkg/authz"
)

// names turns types, ids and actions of the specification into names and
// permissions of the suite. What it cannot turn becomes a name that nobody
// has, so that the permission service is the one that says no, and a caller
// without a token never learns which types there are.
//
//	subject  {staff, alice}                 organizations/acme/staff/alice
//	         {customer, carl}               organizations/acme/customers/carl
//	         {user, alice}                  as staff, unless Config.SubjectTypes says otherwise
//	resource {organization, acme}           organizations/acme
//	         {group, g1}                    organizations/acme/groups/g1
//	         {message, g1/messages/42}      organizations/acme/groups/g1/messages/42
//	         {session, staff/a/sessions/s}  organizations/acme/staff/a/sessions/s
//	         {record, r1}                   organizations/acme/records/r1: a type of the organisation's own
//	action   groupchat.messages.create      the permission itself
//	         create, on a message           groupchat.messages.create
//	         read, on a group               groupchat.groups.get
//	         read, on a record              custom.records.read
//
// An id is always below the collection of its type: whatever an id holds, it
// cannot name something of another organisation or another collection.
type names struct {
	subjects  map[string]string // type: collection
	resources map[string]*kind
}

// kind is a type of resource.
type kind struct {
	// top is the collection that ids are in: "groups" for messages too. It is
	// empty for what lies in several collections, whose ids begin with theirs.
	top string
	// collection is where resources of the type are: "groups",
	// "groups/-/messages". It is empty when that is not one place.
	collection string
	// permissions by verb, of a type of the suite. One that two services
	// declare is "".
	permissions map[string]string
}

const organizationType = "organization"

// ownSubjects are the suite's types of subjects and their collections.
var ownSubjects = [...][2]string{
	{"staff", "staff"}, {"customer", "customers"}, {"serviceAccount", "serviceAccounts"}, {"team", "teams"},
}

// IsSubjectCollection reports whether Config.SubjectTypes may name the
// collection.
func IsSubjectCollection(collection string) bool {
	return slices.ContainsFunc(ownSubjects[:], func(own [2]string) bool { return own[1] == collection })
}

func newNames(subjects map[string]string) *names {
	n := &names{subjects: map[string]string{"user": "staff"}, resources: map[string]*kind{}}
	maps.Copy(n.subjects, subjects)
	for _, own := range ownSubjects {
		n.subjects[own[0]] = own[1]
	}
	for _, p := range authz.Catalogue() {
		n.add(p)
	}
	return n
}

// add makes the type of a permission's resource known: the singular of the
// collection, as in "message" of "groupchat.messages.create".
func (n *names) add(p authz.Permission) {
	name := singular(p.Resource)
	k := n.resources[name]
	if k == nil {
		k = &kind{permissions: map[string]string{}}
		n.resources[name] = k
	}
	for _, pattern := range p.Patterns {
		// "organizations/*/groups/*/messages/*": the third segment.
		if segments := strings.Split(pattern, "/"); len(segments) > 2 && segments[2] != "*" {
			k.top = segments[2]
			k.collection = longer(k.collection, strings.ReplaceAll(strings.Join(segments[2:len(segments)-1], "/"), "*", "-"))
		}
	}
	if _, twice := k.permissions[p.Verb]; twice {
		k.permissions[p.Verb] = ""
	} else {
		k.permissions[p.Verb] = p.Name
	}
}

func longer(a, b string) string {
	if len(a) > len(b) {
		return a
	}
	return b
}

// singular returns the singular of a collection's name: "surveys" is of
// surveys, "auditEntries" of audit entries, and "staff" is both.
func singular(collection string) string {
	if stem, ok := strings.CutSuffix(collection, "ies"); ok {
		return stem + "y"
	}
	if stem, ok := strings.CutSuffix(collection, "s"); ok {
		return stem
	}
	return collection
}

// Longest names that the permission service takes, in runes.
const (
	maxName       = 400
	maxPermission = 100
)

// nobody is a name that no account, permission or resource has.
const nobody = "?"

func bounded(name string, most int) string {
	if utf8.RuneCountInString(name) > most {
		return nobody
	}
	return name
}

// subject returns the account that a subject is.
func (n *names) subject(organization string, e entity) string {
	collection, known := n.subjects[e.kind]
	if !known {
		return nobody
	}
	return bounded(organization+"/"+collection+"/"+e.id, maxName)
}

// resource returns the name of a resource of the kind; nil is no known one.
func (k *kind) resource(organization string, e entity) string {
	switch {
	case e.kind == organizationType:
		return bounded("organizations/"+e.id, maxName)
	case k == nil:
		return nobody
	case k.top == "":
		return bounded(organization+"/"+e.id, maxName)
	}
	return bounded(organization+"/"+k.top+"/"+e.id, maxName)
}

// idOf returns the id of a resource of the kind by its name.
func (k *kind) idOf(organization, name string) (id string, ok bool) {
	want, have := strings.Split(k.collection, "/"), strings.Split(strings.TrimPrefix(name, organization+"/"), "/")
	if len(have) != len(want)+1 {
		return "", false
	}
	for i, segment := range want {
		if segment != "-" && segment != have[i] {
			return "", false
		}
	}
	return strings.Join(have[1:], "/"), true
}

// verbOf returns the verb of a permission on resources of the kind.
func (k *kind) verbOf(permission string) (verb string, ok bool) {
	if k == nil {
		return "", false
	}
	if k.permissions == nil {
		return strings.CutPrefix(permission, "custom."+k.top+".")
	}
	_, verb, _ = strings.Cut(permission, ".")
	_, verb, _ = strings.Cut(verb, ".")
	return verb, k.permissions[verb] == permission
}

// synonyms are verbs that enforcement points commonly use, and ours for them.
// What an organisation calls the actions of its own types, they are called.
var synonyms = map[string]string{"read": "get", "view": "get", "write": "update", "edit": "update"}

// permission returns the permission that an action needs on a resource of the
// kind.
func (k *kind) permission(e entity) string {
	switch {
	case strings.Contains(e.id, "."):
		return bounded(e.id, maxPermission)
	case k == nil:
		return nobody
	case k.permissions == nil:
		return bounded("custom."+k.top+"."+e.id, maxPermission)
	}
	for _, verb := range [...]string{e.id, synonyms[e.id]} {
		if p := k.permissions[verb]; p != "" {
			return p
		}
	}
	return nobody
}
