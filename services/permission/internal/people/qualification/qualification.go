// Package qualification holds courses, who was trained in them, and which roles
// need a certificate.
//
// A training record:
//
//	           pass                 time
//	ASSIGNED --------> PASSED --------------> EXPIRED
//	 |    ^              |                       |
//	 fail | retake       revoke                  retake
//	 v    |              v                       v
//	FAILED              REVOKED               ASSIGNED
//
// A record in state PASSED is a certificate, valid until the second of its
// expire_time, exactly: nobody has to come by and end it, since whoever asks
// compares the time. The sweep of Job writes down that it is over, and says so
// to others. A certificate is renewed by another record, so that the old one
// counts until it ends.
//
// What a requirement means for a check is package decide's business. It reads
// the requirements of an organisation, and the certificates of an account, as
// two names that a cache keeps like any other (RequirementsOf, CertificatesOf).
// The second is read for those only who hold a role that needs one: what is not
// required costs nothing.
package qualification

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Forms of names.
const (
	CourseName  = resource.Pattern("organizations/{organization}/courses/{course}")
	Requirement = resource.Pattern("organizations/{organization}/certificationRequirements/{certification_requirement}")

	staffRecord    = resource.Pattern("organizations/{organization}/staff/{staff_member}/trainingRecords/{training_record}")
	customerRecord = resource.Pattern("organizations/{organization}/customers/{customer}/trainingRecords/{training_record}")
	programRecord  = resource.Pattern("organizations/{organization}/serviceAccounts/{service_account}/trainingRecords/{training_record}")
)

// What stands behind the names of RequirementsOf and CertificatesOf. No name of
// a subject has a "#" and then one of these words.
const (
	requirements = "#certificationRequirements"
	certificates = "#certificates"
)

// RequirementsOf returns the name under which a change of any requirement of
// the organisation is logged, and under which a cache keeps them together.
func RequirementsOf(organization string) string { return organization + requirements }

// CertificatesOf returns the name under which a change of the certificates of
// an account is logged, and under which a cache keeps them together.
func CertificatesOf(account string) string { return account + certificates }

// Owner returns the organisation of a name of RequirementsOf, or the account of
// one of CertificatesOf, and which it is; both are false for any other name.
func Owner(name string) (owner string, ofRequirements, ofCertificates bool) {
	if owner, ok := strings.CutSuffix(name, requirements); ok {
		return owner, true, false
	}
	owner, ok := strings.CutSuffix(name, certificates)
	return owner, false, ok
}

// Indexes of training records.
const (
	byTime      = "time"   // account, or organisation and kind; create time
	byCourse    = "course" // account, course
	byCourseUse = "use"    // course
	byDue       = "due"    // when Job has something to do next
)

// Qualifications are the courses, records and requirements of all
// organisations. It is safe for concurrent use.
//
//	courses                     organisation, id -> Course
//	training_records            account, id -> TrainingRecord
//	certification_requirements  organisation, id -> CertificationRequirement
type Qualifications struct {
	courses      *shelf.Shelf[*permissionv1.Course]
	records      *shelf.Shelf[*permissionv1.TrainingRecord]
	requirements *shelf.Shelf[*permissionv1.CertificationRequirement]
	roles        *role.Roles
	grants       *grant.Grants
	subjects     *subject.Subjects
}

// New returns the qualifications that the store holds. Grants and subjects are
// for reports.
func New(roles *role.Roles, grants *grant.Grants, subjects *subject.Subjects) *Qualifications {
	return &Qualifications{
		roles: roles, grants: grants, subjects: subjects,
		courses: shelf.New(shelf.Config[*permissionv1.Course]{
			Noun: "course", Table: "courses", Names: []resource.Pattern{CourseName},
			Mutable: []string{"title", "description", "validity_period", "renewal_lead"},
		}),
		records: newRecords(),
		requirements: shelf.New(shelf.Config[*permissionv1.CertificationRequirement]{
			Noun: "certification_requirement", Table: "certification_requirements", Names: []resource.Pattern{Requirement},
			Mutable: []string{"role", "resource", "course", "grace_period"},
			Indexes: []kv.Index[*permissionv1.CertificationRequirement]{{
				Name: byCourseUse,
				Keys: func(v *permissionv1.CertificationRequirement) []kv.Key { return []kv.Key{{kv.String(v.GetCourse())}} },
			}},
			Data: func(v *permissionv1.CertificationRequirement) proto.Message {
				return &permissionv1.CertificationRequirementChanged{
					Role: v.GetRole(), Course: v.GetCourse(), EnforceTime: v.GetEnforceTime(),
				}
			},
		}),
	}
}

func newRecords() *shelf.Shelf[*permissionv1.TrainingRecord] {
	return shelf.New(shelf.Config[*permissionv1.TrainingRecord]{
		Noun: "training_record", Table: "training_records",
		Names: []resource.Pattern{staffRecord, customerRecord, programRecord},
		Indexes: []kv.Index[*permissionv1.TrainingRecord]{{
			Name: byTime, Keys: func(v *permissionv1.TrainingRecord) []kv.Key {
				made := kv.Time(v.GetCreateTime().AsTime())
				return []kv.Key{{kv.String(accountOf(v)), made}, {kv.String(kindOf(v)), made}}
			},
		}, {
			Name: byCourse, Keys: func(v *permissionv1.TrainingRecord) []kv.Key {
				return []kv.Key{{kv.String(accountOf(v)), kv.String(v.GetCourse()), kv.Time(v.GetCreateTime().AsTime())}}
			},
		}, {
			Name: byCourseUse, Keys: func(v *permissionv1.TrainingRecord) []kv.Key { return []kv.Key{{kv.String(v.GetCourse())}} },
		}, {
			Name: byDue, Keys: dueKeys,
		}},
		Data: func(v *permissionv1.TrainingRecord) proto.Message {
			return &permissionv1.TrainingRecordChanged{
				Account: accountOf(v), Course: v.GetCourse(), ExpireTime: v.GetExpireTime(),
				State: strings.TrimPrefix(v.GetState().String(), "STATE_"),
			}
		},
	})
}

// Tables returns the raw tables of this package, for kv.Options.
func (q *Qualifications) Tables() []string {
	return append(append(q.courses.Tables(), q.records.Tables()...), q.requirements.Tables()...)
}

func accountOf(v *permissionv1.TrainingRecord) string { return resource.Parent(v.GetName()) }

// kindOf returns the collection that the account of a record is in, as in
// "organizations/acme/staff".
func kindOf(v *permissionv1.TrainingRecord) string {
	account := accountOf(v)
	return account[:strings.LastIndexByte(account, '/')]
}

// touchAccount notes that an account has other certificates now.
func touchAccount(tx *change.Tx, account string) error {
	_, err := revision.Bump(tx, subject.OrganizationOf(account), tx.Time, CertificatesOf(account))
	return err
}

// touchRequirements notes that an organisation has other requirements now.
func touchRequirements(tx *change.Tx, organization string) error {
	_, err := revision.Bump(tx, organization, tx.Time, RequirementsOf(organization))
	return err
}
