package staffing

import (
	"context"
	"strconv"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/qualification"
)

// courses implements permissionv1.CourseServiceServer.
type courses struct{ Config }

func (s courses) CreateCourse(ctx context.Context, req *permissionv1.CreateCourseRequest) (*permissionv1.Course, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Course, error) {
		return s.Qualifications.CreateCourse(tx, req.GetParent(), req.GetCourseId(), req.GetCourse())
	})
}

func (s courses) GetCourse(ctx context.Context, req *permissionv1.GetCourseRequest) (*permissionv1.Course, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Course, error) {
		return s.Qualifications.GetCourse(r, req.GetName())
	})
}

func (s courses) ListCourses(ctx context.Context, req *permissionv1.ListCoursesRequest) (*permissionv1.ListCoursesResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListCourses", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Course, []byte, error) {
		return s.Qualifications.ListCourses(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListCoursesResponse{Courses: found, NextPageToken: next}, nil
}

func (s courses) UpdateCourse(ctx context.Context, req *permissionv1.UpdateCourseRequest) (*permissionv1.Course, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Course, error) {
		return s.Qualifications.UpdateCourse(tx, req.GetCourse(), req.GetUpdateMask())
	})
}

func (s courses) DeleteCourse(ctx context.Context, req *permissionv1.DeleteCourseRequest) (*permissionv1.Course, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Course, error) {
		return s.Qualifications.DeleteCourse(tx, req.GetName(), req.GetEtag())
	})
}

// training implements permissionv1.TrainingRecordServiceServer.
type training struct{ Config }

func (s training) CreateTrainingRecord(ctx context.Context, req *permissionv1.CreateTrainingRecordRequest) (*permissionv1.TrainingRecord, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.TrainingRecord, error) {
		if err := s.Merged(tx, req.GetParent()); err != nil {
			return nil, err
		}
		return s.Qualifications.Assign(tx, req.GetParent(), req.GetTrainingRecordId(), authn.CallerOf(ctx).Name, req.GetTrainingRecord())
	})
}

func (s training) GetTrainingRecord(ctx context.Context, req *permissionv1.GetTrainingRecordRequest) (*permissionv1.TrainingRecord, error) {
	now := s.Clock()
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.TrainingRecord, error) {
		return s.Qualifications.GetRecord(r, now, req.GetName())
	})
}

func (s training) ListTrainingRecords(ctx context.Context, req *permissionv1.ListTrainingRecordsRequest) (*permissionv1.ListTrainingRecordsResponse, error) {
	_, course, err := only(req.GetFilter(), "course")
	if err != nil {
		return nil, err
	}
	now := s.Clock()
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListTrainingRecords", req.GetParent(), req.GetFilter()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.TrainingRecord, []byte, error) {
		return s.Qualifications.ListRecords(r, now, req.GetParent(), course, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListTrainingRecordsResponse{TrainingRecords: found, NextPageToken: next}, nil
}

func (s training) PassTrainingRecord(ctx context.Context, req *permissionv1.PassTrainingRecordRequest) (*permissionv1.TrainingRecord, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.TrainingRecord, error) {
		return s.Qualifications.Pass(tx, result(ctx, req, req.GetEvidence()))
	})
}

func (s training) FailTrainingRecord(ctx context.Context, req *permissionv1.FailTrainingRecordRequest) (*permissionv1.TrainingRecord, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.TrainingRecord, error) {
		return s.Qualifications.Fail(tx, result(ctx, req, req.GetEvidence()))
	})
}

func (s training) RetakeTrainingRecord(ctx context.Context, req *permissionv1.RetakeTrainingRecordRequest) (*permissionv1.TrainingRecord, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.TrainingRecord, error) {
		return s.Qualifications.Retake(tx, req.GetName(), req.GetEtag())
	})
}

func (s training) RevokeTrainingRecord(ctx context.Context, req *permissionv1.RevokeTrainingRecordRequest) (*permissionv1.TrainingRecord, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.TrainingRecord, error) {
		return s.Qualifications.Revoke(tx, result(ctx, req, req.GetReason()))
	})
}

// result returns the caller's word on a record.
func result(ctx context.Context, req named, evidence string) qualification.Result {
	return qualification.Result{Name: req.GetName(), Etag: req.GetEtag(), Assessor: authn.CallerOf(ctx).Name, Evidence: evidence}
}

// requirements implements permissionv1.CertificationRequirementServiceServer.
type requirements struct{ Config }

func (s requirements) CreateCertificationRequirement(ctx context.Context, req *permissionv1.CreateCertificationRequirementRequest) (*permissionv1.CertificationRequirement, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.CertificationRequirement, error) {
		return s.Qualifications.CreateRequirement(tx, req.GetParent(), req.GetCertificationRequirementId(), req.GetCertificationRequirement())
	})
}

func (s requirements) GetCertificationRequirement(ctx context.Context, req *permissionv1.GetCertificationRequirementRequest) (*permissionv1.CertificationRequirement, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.CertificationRequirement, error) {
		return s.Qualifications.GetRequirement(r, req.GetName())
	})
}

func (s requirements) ListCertificationRequirements(ctx context.Context, req *permissionv1.ListCertificationRequirementsRequest) (*permissionv1.ListCertificationRequirementsResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListCertificationRequirements", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.CertificationRequirement, []byte, error) {
		return s.Qualifications.ListRequirements(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListCertificationRequirementsResponse{CertificationRequirements: found, NextPageToken: next}, nil
}

func (s requirements) UpdateCertificationRequirement(ctx context.Context, req *permissionv1.UpdateCertificationRequirementRequest) (*permissionv1.CertificationRequirement, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.CertificationRequirement, error) {
		return s.Qualifications.UpdateRequirement(tx, req.GetCertificationRequirement(), req.GetUpdateMask())
	})
}

func (s requirements) DeleteCertificationRequirement(ctx context.Context, req *permissionv1.DeleteCertificationRequirementRequest) (*permissionv1.CertificationRequirement, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.CertificationRequirement, error) {
		return s.Qualifications.DeleteRequirement(tx, req.GetName(), req.GetEtag())
	})
}

func (s requirements) ReportCoverage(ctx context.Context, req *permissionv1.ReportCoverageRequest) (*permissionv1.ReportCoverageResponse, error) {
	now := s.Clock()
	c := qualification.Coverage{
		Requirement: req.GetName(), Now: now, GapsOnly: req.GetGapsOnly(),
		Soon: now.Add(time.Duration(req.GetExpiringWithinDays()) * 24 * time.Hour),
	}
	query := []string{"ReportCoverage", req.GetName(), strconv.Itoa(int(req.GetExpiringWithinDays())), strconv.FormatBool(req.GetGapsOnly())}
	found, next, err := journal.List(ctx, s.Journal, req, query, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.CoverageLine, []byte, error) {
		return s.Qualifications.Report(r, c, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ReportCoverageResponse{CoverageLines: found, NextPageToken: next}, nil
}
