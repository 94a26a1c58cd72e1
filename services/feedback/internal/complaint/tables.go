package complaint

import (
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/feedback/store/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// Complaints keeps complaints and the counters of their references.
//
//	complaints           name -> Complaint (without etag)
//	complaints__time     organisation or customer, create time
//	complaints__state    organisation or customer, state, create time
//	complaint_references organisation -> ReferenceCounter
type Complaints struct {
	complaints *kv.Table[*feedbackv1.Complaint]
	counters   *kv.Table[*storev1.ReferenceCounter]
}

// New returns the centre. It does no I/O.
func New() *Complaints {
	return &Complaints{
		complaints: kv.NewTable(kv.TableConfig[*feedbackv1.Complaint]{
			Name:     "complaints",
			Key:      func(v *feedbackv1.Complaint) kv.Key { return kv.Key{kv.String(v.GetName())} },
			NotFound: "COMPLAINT_NOT_FOUND",
			Exists:   "COMPLAINT_EXISTS",
			Indexes: []kv.Index[*feedbackv1.Complaint]{{
				Name: "time",
				Keys: func(v *feedbackv1.Complaint) []kv.Key { return byOwner(v) },
			}, {
				Name: "state",
				Keys: func(v *feedbackv1.Complaint) []kv.Key { return byOwner(v, kv.Int64(int64(v.GetState()))) },
			}},
		}),
		counters: kv.NewTable(kv.TableConfig[*storev1.ReferenceCounter]{
			Name: "complaint_references",
			Key:  func(v *storev1.ReferenceCounter) kv.Key { return kv.Key{kv.String(v.GetOrganization())} },
		}),
	}
}

// byOwner returns two index keys, that of the customer's list and that of the
// organisation's: owner, the given parts, create time.
func byOwner(v *feedbackv1.Complaint, parts ...kv.Part) []kv.Key {
	customer := Complainant(v.GetName())
	var keys []kv.Key
	for _, owner := range []string{customer, resource.Parent(customer)} {
		keys = append(keys, kv.Key{kv.String(owner)}.With(parts...).With(kv.Time(v.GetCreateTime().AsTime())))
	}
	return keys
}

// Tables returns the raw tables to open.
func (c *Complaints) Tables() []string {
	return append(c.complaints.Tables(), c.counters.Tables()...)
}
