package authz

// apiVersion is the format of the files that this program reads and writes.
const apiVersion = "guildhall.dev/policy/v1"

// document is a policy file. It names no organisation, so that the same file
// serves a test installation and the real one: "staff/lin" is
// organizations/<the organisation>/staff/lin, "." the organisation itself, and
// of roles "clerk" is a custom one and "roles/viewer" one that is built in. A
// full name is taken as it is.
type document struct {
	APIVersion    string         `yaml:"apiVersion"`
	Policy        string         `yaml:"policy,omitempty"`
	ResourceTypes []resourceType `yaml:"resourceTypes,omitempty"`
	Roles         []role         `yaml:"roles,omitempty"`
	Grants        []grant        `yaml:"grants,omitempty"`
	Properties    []properties   `yaml:"properties,omitempty"`
	Assertions    []assertion    `yaml:"assertions,omitempty"`
}

type resourceType struct {
	ID          string   `yaml:"id"`
	Collection  string   `yaml:"collection"`
	DisplayName string   `yaml:"displayName"`
	Actions     []action `yaml:"actions"`
}

// action has a level: read, edit or manage.
type action struct {
	ID          string `yaml:"id"`
	DisplayName string `yaml:"displayName,omitempty"`
	Level       string `yaml:"level"`
}

type role struct {
	ID            string   `yaml:"id"`
	DisplayName   string   `yaml:"displayName"`
	Description   string   `yaml:"description,omitempty"`
	Permissions   []string `yaml:"permissions,omitempty"`
	Levels        []level  `yaml:"levels,omitempty"`
	IncludedRoles []string `yaml:"includedRoles,omitempty"`
}

type level struct {
	Collection string `yaml:"collection"`
	Level      string `yaml:"level"`
}

// grant has an id only when people chose one. Effect is deny or nothing.
type grant struct {
	ID         string     `yaml:"id,omitempty"`
	Subject    string     `yaml:"subject"`
	Role       string     `yaml:"role"`
	Resource   string     `yaml:"resource"`
	Effect     string     `yaml:"effect,omitempty"`
	Condition  *condition `yaml:"condition,omitempty"`
	ExpireTime string     `yaml:"expireTime,omitempty"`
	Reason     string     `yaml:"reason,omitempty"`
}

type condition struct {
	Expression string `yaml:"expression"`
	Title      string `yaml:"title,omitempty"`
}

type properties struct {
	Entity string         `yaml:"entity"`
	Values map[string]any `yaml:"values"`
}

// assertion has one of allow, deny, resources and subjects.
type assertion struct {
	Title     string         `yaml:"title,omitempty"`
	Allow     *question      `yaml:"allow,omitempty"`
	Deny      *question      `yaml:"deny,omitempty"`
	Resources *resourceNames `yaml:"resources,omitempty"`
	Subjects  *subjectNames  `yaml:"subjects,omitempty"`
	Time      string         `yaml:"time,omitempty"`
}

// resourceNames is what ListResources has to list, and subjectNames what
// ListSubjects has to.
type resourceNames struct {
	Subject    string         `yaml:"subject"`
	Permission string         `yaml:"permission"`
	Collection string         `yaml:"collection,omitempty"`
	Attributes map[string]any `yaml:"attributes,omitempty"`
	Names      names          `yaml:",inline"`
}

type subjectNames struct {
	Permission string         `yaml:"permission"`
	Resource   string         `yaml:"resource"`
	Attributes map[string]any `yaml:"attributes,omitempty"`
	Names      names          `yaml:",inline"`
}

// names has one of the three. "equals: []" says that nothing is listed.
type names struct {
	Equals   *[]string `yaml:"equals,omitempty"`
	Includes *[]string `yaml:"includes,omitempty"`
	Excludes *[]string `yaml:"excludes,omitempty"`
}

// question may bring attributes, as CheckQuery has them.
type question struct {
	Subject    string         `yaml:"subject"`
	Permission string         `yaml:"permission"`
	Resource   string         `yaml:"resource"`
	Attributes map[string]any `yaml:"attributes,omitempty"`
}
