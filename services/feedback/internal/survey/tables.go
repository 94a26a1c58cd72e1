package survey

import (
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/feedback/store/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// Surveys keeps surveys, their responses and the counts of these.
//
//	surveys              organisation, name -> Survey (no etag, no count)
//	responses            survey, create time, name -> Response
//	responses__respondent  survey, respondent  (unique: one response that counts each)
//	responses__name      name                  (unique)
//	responses__account   respondent, create time
//	survey_tallies       survey -> SurveyTally
type Surveys struct {
	surveys   *kv.Table[*feedbackv1.Survey]
	responses *kv.Table[*feedbackv1.Response]
	tallies   *kv.Table[*storev1.SurveyTally]
}

// New returns the centre. It does no I/O.
func New() *Surveys {
	return &Surveys{
		surveys: kv.NewTable(kv.TableConfig[*feedbackv1.Survey]{
			Name: "surveys",
			Key: func(v *feedbackv1.Survey) kv.Key {
				return kv.Key{kv.String(resource.Parent(v.GetName())), kv.String(v.GetName())}
			},
			NotFound: "SURVEY_NOT_FOUND",
			Exists:   "SURVEY_EXISTS",
		}),
		responses: kv.NewTable(kv.TableConfig[*feedbackv1.Response]{
			Name: "responses",
			Key: func(v *feedbackv1.Response) kv.Key {
				return kv.Key{
					kv.String(resource.Parent(v.GetName())),
					kv.Time(v.GetCreateTime().AsTime()), kv.String(v.GetName()),
				}
			},
			NotFound: "RESPONSE_NOT_FOUND",
			Exists:   "RESPONSE_EXISTS",
			Indexes: []kv.Index[*feedbackv1.Response]{{
				Name:   "respondent",
				Unique: true,
				Reason: "RESPONSE_EXISTS",
				Keys: func(v *feedbackv1.Response) []kv.Key {
					if v.GetSuperseded() {
						return nil
					}
					return []kv.Key{{kv.String(resource.Parent(v.GetName())), kv.String(v.GetRespondent())}}
				},
			}, {
				Name:   "name",
				Unique: true,
				Keys: func(v *feedbackv1.Response) []kv.Key {
					return []kv.Key{{kv.String(v.GetName())}}
				},
			}, {
				Name: byAccount,
				Keys: func(v *feedbackv1.Response) []kv.Key {
					return []kv.Key{{kv.String(v.GetRespondent()), kv.Time(v.GetCreateTime().AsTime())}}
				},
			}},
		}),
		tallies: kv.NewTable(kv.TableConfig[*storev1.SurveyTally]{
			Name: "survey_tallies",
			Key:  func(v *storev1.SurveyTally) kv.Key { return kv.Key{kv.String(v.GetSurvey())} },
		}),
	}
}

// Tables returns the raw tables to open.
func (s *Surveys) Tables() []string {
	var names []string
	names = append(names, s.surveys.Tables()...)
	names = append(names, s.responses.Tables()...)
	return append(names, s.tallies.Tables()...)
}
