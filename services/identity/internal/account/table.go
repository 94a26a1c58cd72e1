package account

import (
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/likeness"
	"guildhall.dev/services/identity/internal/naming"
	"guildhall.dev/services/identity/internal/stage"
)

const (
	staffNotFound    = "STAFF_MEMBER_NOT_FOUND"
	customerNotFound = "CUSTOMER_NOT_FOUND"
	serviceNotFound  = "SERVICE_ACCOUNT_NOT_FOUND"
)

// The indexes of an account table. All begin with the organisation, and what
// is personal in them is hashed. A deleted account keeps its unique values
// until it is purged, so that it can come back.
const (
	byEmail      = "email"       // unique
	byPhone      = "phone"       // unique
	byExternalID = "external_id" // unique
	byState      = "state"
	byCountry    = "country"
	byTag        = "tag"
	byOwner      = "owner"                         // customers, also those without
	byStage      = "stage"                         // customers
	byOwned      = "owned"                         // customers that have one and are not deleted
	byName       = "name_v" + naming.Version       // one entry for each term
	byLikeness   = "likeness_v" + likeness.Version // customers that are not deleted, one entry for each key
	byLive       = "live"                          // all but deleted ones
	byPurge      = "purge"                         // deleted ones, by when they are purged, but those under a legal hold
)

// staffTable is (organisation, name) -> Account.
func staffTable(h kv.Hasher) *kv.Table[*storev1.Account] {
	return kv.NewTable(kv.TableConfig[*storev1.Account]{
		Name: "staff", NotFound: staffNotFound, Exists: "STAFF_MEMBER_EXISTS",
		Key: primary, Hasher: h,
		Indexes: append(common(), unique(byEmail, "EMAIL_TAKEN", "staff_member.email", func(a *storev1.Account) string {
			return contact.FoldEmail(a.GetEmail())
		})),
	})
}

// serviceTable is (organisation, name) -> Account.
func serviceTable(h kv.Hasher) *kv.Table[*storev1.Account] {
	return kv.NewTable(kv.TableConfig[*storev1.Account]{
		Name: "service_accounts", NotFound: serviceNotFound, Exists: "SERVICE_ACCOUNT_EXISTS",
		Key: primary, Hasher: h, Indexes: common(),
	})
}

// customerTable is (organisation, name) -> Account.
func customerTable(h kv.Hasher) *kv.Table[*storev1.Account] {
	return kv.NewTable(kv.TableConfig[*storev1.Account]{
		Name: "customers", NotFound: customerNotFound, Exists: "CUSTOMER_EXISTS",
		Key: primary, Hasher: h,
		Indexes: append(common(),
			unique(byEmail, "EMAIL_TAKEN", "customer.email", func(a *storev1.Account) string { return contact.FoldEmail(a.GetEmail()) }),
			unique(byPhone, "PHONE_TAKEN", "customer.phone", (*storev1.Account).GetPhone),
			unique(byExternalID, "EXTERNAL_ID_TAKEN", "customer.external_id", (*storev1.Account).GetExternalId),
			kv.Index[*storev1.Account]{Name: byCountry, Keys: func(a *storev1.Account) []kv.Key {
				if a.GetCountry() == "" {
					return nil
				}
				return []kv.Key{{organizationOf(a), kv.String(a.GetCountry())}}
			}},
			kv.Index[*storev1.Account]{Name: byTag, Keys: func(a *storev1.Account) []kv.Key {
				keys := make([]kv.Key, len(a.GetTags()))
				for i, name := range a.GetTags() {
					keys[i] = kv.Key{organizationOf(a), kv.String(name)}
				}
				return keys
			}},
			kv.Index[*storev1.Account]{Name: byOwner, Keys: func(a *storev1.Account) []kv.Key {
				return []kv.Key{{organizationOf(a), kv.String(a.GetOwner())}}
			}},
			kv.Index[*storev1.Account]{Name: byStage, Keys: func(a *storev1.Account) []kv.Key {
				return []kv.Key{{organizationOf(a), kv.String(stage.Name(a.GetStage()))}}
			}},
			kv.Index[*storev1.Account]{Name: byOwned, Keys: func(a *storev1.Account) []kv.Key {
				if a.GetOwner() == "" || deleted(a) {
					return nil
				}
				return []kv.Key{{organizationOf(a), kv.String(a.GetOwner())}}
			}},
			kv.Index[*storev1.Account]{Name: byLikeness, Keys: func(a *storev1.Account) []kv.Key {
				shared := likenessOf(h, a)
				keys := make([]kv.Key, len(shared))
				for i, k := range shared {
					keys[i] = likenessKey(resource.Parent(a.GetName()), k)
				}
				return keys
			}},
		),
	})
}

func primary(a *storev1.Account) kv.Key { return key(a.GetName()) }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func organizationOf(a *storev1.Account) kv.Part { return kv.String(resource.Parent(a.GetName())) }

func deleted(a *storev1.Account) bool {
	return a.GetState() == gone || a.GetState() == erased || a.GetState() == merged
}

// purgeable reports whether an account is gone once its purge time has come.
func purgeable(a *storev1.Account) bool { return a.GetState() == gone && !a.GetLegalHold() }

// common are the indexes of all tables.
func common() []kv.Index[*storev1.Account] {
	return []kv.Index[*storev1.Account]{{
		Name: byName,
		Keys: func(a *storev1.Account) []kv.Key {
			terms := naming.Terms(a.GetDisplayName())
			keys := make([]kv.Key, len(terms))
			for i, t := range terms {
				keys[i] = kv.Key{organizationOf(a), kv.Personal(t)}
			}
			return keys
		},
	}, {
		Name: byState,
		Keys: func(a *storev1.Account) []kv.Key {
			return []kv.Key{{organizationOf(a), kv.String(StateName(a.GetState()))}}
		},
	}, {
		Name: byLive,
		Keys: func(a *storev1.Account) []kv.Key {
			if deleted(a) {
				return nil
			}
			return []kv.Key{{organizationOf(a)}}
		},
	}, {
		Name: byPurge,
		Keys: func(a *storev1.Account) []kv.Key {
			if !purgeable(a) {
				return nil
			}
			return []kv.Key{{kv.Time(a.GetPurgeTime().AsTime())}}
		},
	}}
}

// unique is an index that allows a value to one account of an organisation.
func unique(name, reason, field string, value func(*storev1.Account) string) kv.Index[*storev1.Account] {
	return kv.Index[*storev1.Account]{
		Name: name, Unique: true, Reason: reason, Field: field,
		Keys: func(a *storev1.Account) []kv.Key {
			v := value(a)
			if v == "" {
				return nil
			}
			return []kv.Key{{organizationOf(a), kv.Personal(v)}}
		},
	}
}
