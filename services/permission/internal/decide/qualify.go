package decide

import (
	"unique"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/subject"
)

// Requirements and certificates are compiled as the holds of two further names,
// so that all that keeps and drops subjects keeps and drops them too:
//
//	qualification.RequirementsOf(organization): a role, on the pattern of a
//	resource, needs the certificate of the course that stands as its grant,
//	from the second of its expiry on
//	qualification.CertificatesOf(account): a course is held until the second
//	of its expiry
//
// Where nothing is required, a check that allows looks up one empty entry more.

// requirements compiles what an organisation requires.
func (l *Loader) requirements(r kv.Reader, organization string) (*Subject, error) {
	all, err := l.Qualifications.Requirements(r, organization)
	if err != nil {
		return nil, err
	}
	holds := make([]Hold, len(all))
	for i, v := range all {
		on := v.GetResource()
		if on == "" {
			on = organization
		}
		holds[i] = Hold{Resource: on, Role: v.GetRole(), Grant: v.GetCourse(), Expires: v.GetEnforceTime().GetSeconds()}
	}
	return Compile(qualification.RequirementsOf(organization), subject.Facts{}, holds), nil
}

// certificates compiles the certificates of an account.
func (l *Loader) certificates(r kv.Reader, account string) (*Subject, error) {
	all, err := l.Qualifications.Certificates(r, account)
	if err != nil {
		return nil, err
	}
	holds := make([]Hold, len(all))
	for i, c := range all {
		holds[i] = Hold{Resource: c.Course, Expires: c.Expires}
	}
	return Compile(qualification.CertificatesOf(account), subject.Facts{}, holds), nil
}

// qualified reports whether the subject of the question has each certificate
// that the role needs on the resource, until the end of what is asked about.
func (q *query) qualified(role unique.Handle[string], resource string) (bool, error) {
	if q.required == nil {
		var err error
		if q.required, err = q.facts.Subject(q.holders.home.Value().required); err != nil {
			return false, err
		}
	}
	for _, r := range q.required.rows {
		pattern := absolute(q.organization, q.required.resourceOf(r))
		if q.required.roles[r.role] != role || q.until < r.expires || !qualification.Applies(pattern, resource) {
			continue
		}
		has, err := q.certified(q.required.grantOf(r))
		if err != nil || !has {
			return false, err
		}
	}
	return true, nil
}

// certified reports whether the subject of the question has a certificate of
// the course.
func (q *query) certified(course string) (bool, error) {
	s, err := q.facts.Subject(qualification.CertificatesOf(q.question.Subject))
	if err != nil {
		return false, err
	}
	for _, r := range s.on(levelOf(relative(q.organization, course))) {
		if q.until < r.expires {
			return true, nil
		}
	}
	return false, nil
}
