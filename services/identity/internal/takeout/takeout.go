// Package takeout keeps what is put together of a customer who asks to see it, until
// the customer has had it.
//
//	        a page more        the last service has given all
//	begun ───────────▶ growing ──────────────────────────────▶ ready
//	  └──────────────────┴─────────────────┬────────────────────┘
//	                                       ▼ past its time, or nobody asks any more
//	                                removed, some pages at a time
//
// Pages are kept as the services gave them, under the store's seal. Replicas may
// collect at once: a page is added where the last one ended, or not at all. A customer
// has one that is ready: the next takes its place.
package takeout

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/rights"
)

const (
	// Keep is how long it can be had once it is ready.
	Keep = 14 * 24 * time.Hour
	// patience is how long one that never becomes ready is kept.
	patience = 60 * 24 * time.Hour
	// few is how many pages, of about a megabyte each, one transaction removes.
	few = 4
)

// The indexes of takeouts.
const (
	byExpiry  = "expiry"
	byGrowing = "growing" // those that are not ready
)

// Book keeps takeouts. It is safe for concurrent use.
//
//	takeouts       (customer, request)         -> Takeout
//	takeout_pages  (customer, request, generation, number) -> TakeoutPage
type Book struct {
	takeouts *kv.Table[*storev1.Takeout]
	pages    *kv.Table[*storev1.TakeoutPage]
}

// New returns a book. It does no I/O.
func New() *Book {
	return &Book{
		takeouts: kv.NewTable(kv.TableConfig[*storev1.Takeout]{
			Name: "takeouts", Key: func(t *storev1.Takeout) kv.Key { return key(t.GetRequest()) },
			Indexes: []kv.Index[*storev1.Takeout]{{Name: byExpiry, Keys: func(t *storev1.Takeout) []kv.Key {
				return []kv.Key{{kv.Time(t.GetExpireTime().AsTime())}}
			}}, {Name: byGrowing, Keys: func(t *storev1.Takeout) []kv.Key {
				if Ready(t) {
					return nil
				}
				return []kv.Key{{kv.Time(t.GetCreateTime().AsTime())}}
			}}},
		}),
		pages: kv.NewTable(kv.TableConfig[*storev1.TakeoutPage]{
			Name: "takeout_pages", Key: func(p *storev1.TakeoutPage) kv.Key { return pageKey(p.GetRequest(), p.GetGeneration(), p.GetNumber()) },
		}),
	}
}

func key(request string) kv.Key {
	return kv.Key{kv.String(rights.CustomerOf(request)), kv.String(request)}
}

func pageKey(request string, generation, number int64) kv.Key {
	return key(request).With(kv.Int64(generation), kv.Int64(number))
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return append(b.takeouts.Tables(), b.pages.Tables()...) }

// Ready reports whether all services have given all.
func Ready(t *storev1.Takeout) bool { return t.GetReady() }

// Get returns how far the takeout of a request is, as from its beginning when there
// is none.
func (b *Book) Get(r kv.Reader, request string, now time.Time) (*storev1.Takeout, error) {
	rec, found, err := b.takeouts.Find(r, key(request))
	if err != nil || found {
		return rec.Value, err
	}
	return &storev1.Takeout{Request: request, CreateTime: timestamppb.New(now), ExpireTime: timestamppb.New(now.Add(patience))}, nil
}

// Add adds a page that a service gave where a takeout, as Get returned it, had come
// to, and returns how far it is now; services are all that are asked. When another
// page was added meanwhile, it adds nothing, and reports so.
func (b *Book) Add(tx kv.Tx, at *storev1.Takeout, service string, page *subjectv1.ExportSubjectResponse, services []string, now time.Time) (t *storev1.Takeout, added bool, err error) {
	if same, err := b.stands(tx, at); err != nil || !same {
		return nil, false, err
	}
	t = proto.CloneOf(at)
	if len(page.GetRecords()) > 0 {
		if _, err := b.pages.Create(tx, &storev1.TakeoutPage{
			Request: t.GetRequest(), Generation: t.GetGeneration(), Number: t.GetPages(), Service: service, Records: page.GetRecords(),
		}); err != nil {
			return nil, false, err
		}
		t.Pages++
		count(t, service, page.GetRecords())
	}
	if t.PageToken = page.GetNextPageToken(); t.GetPageToken() == "" {
		t.Services = append(t.Services, service)
	}
	if t.Ready = !slices.ContainsFunc(services, func(s string) bool { return !slices.Contains(t.GetServices(), s) }); t.GetReady() {
		if err := b.endAll(tx, rights.CustomerOf(t.GetRequest()), now); err != nil {
			return nil, false, err
		}
		t.ExpireTime = timestamppb.New(now.Add(Keep))
	}
	_, err = b.takeouts.Put(tx, t, "")
	return t, err == nil, err
}

// stands reports whether a takeout is as Get returned it.
func (b *Book) stands(r kv.Reader, at *storev1.Takeout) (bool, error) {
	current, err := b.Get(r, at.GetRequest(), at.GetCreateTime().AsTime())
	return proto.Equal(current, at), err
}

// Restart begins a takeout anew, unless it is not as Get returned it. What there was
// goes away with it.
func (b *Book) Restart(tx kv.Tx, at *storev1.Takeout) error {
	if same, err := b.stands(tx, at); err != nil || !same {
		return err
	}
	_, err := b.takeouts.Put(tx, &storev1.Takeout{
		Request: at.GetRequest(), Generation: at.GetGeneration() + 1, CreateTime: at.GetCreateTime(), ExpireTime: at.GetExpireTime(),
	}, "")
	return err
}

// End makes the takeout of a request that nobody makes any more one that is past its
// time. Where there is none, it does nothing.
func (b *Book) End(tx *change.Tx, request string) error {
	rec, found, err := b.takeouts.Find(tx, key(request))
	if err != nil || !found {
		return err
	}
	return b.end(tx, rec.Value, tx.Time)
}

// endAll ends all takeouts of a customer, who sees the newest one.
func (b *Book) endAll(tx kv.Tx, customer string, now time.Time) error {
	for rec, err := range b.takeouts.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return err
		}
		if err := b.end(tx, rec.Value, now); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) end(tx kv.Tx, t *storev1.Takeout, now time.Time) error {
	if !now.Before(t.GetExpireTime().AsTime()) {
		return nil
	}
	t = proto.CloneOf(t)
	t.ExpireTime = timestamppb.New(now)
	_, err := b.takeouts.Put(tx, t, "")
	return err
}

// count counts records, which come kind by kind.
func count(t *storev1.Takeout, service string, records []*subjectv1.ExportedRecord) {
	for _, rec := range records {
		i := slices.IndexFunc(t.GetParts(), func(p *storev1.TakeoutPart) bool {
			return p.GetService() == service && p.GetKind() == rec.GetKind()
		})
		if i < 0 {
			i = len(t.GetParts())
			t.Parts = append(t.Parts, &storev1.TakeoutPart{Service: service, Kind: rec.GetKind()})
		}
		t.GetParts()[i].Count++
	}
}

// Page returns one page of a takeout, and whether it is there.
func (b *Book) Page(r kv.Reader, t *storev1.Takeout, number int64) (*storev1.TakeoutPage, bool, error) {
	rec, found, err := b.pages.Find(r, pageKey(t.GetRequest(), t.GetGeneration(), number))
	return rec.Value, found, err
}

// Growing returns the requests whose takeouts are not ready, at most limit, and where
// to go on behind them.
func (b *Book) Growing(r kv.Reader, after []byte, limit int) (requests []string, next []byte, err error) {
	page, err := b.takeouts.List(r, kv.Query{Index: byGrowing, After: after, Limit: limit})
	return requestsOf(page.Values()), page.Next, err
}

// Expired returns the requests whose takeouts are past their time, at most limit.
func (b *Book) Expired(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.takeouts.Due(r, byExpiry, now, limit)
	return requestsOf(due), err
}

func requestsOf(all []*storev1.Takeout) []string {
	out := make([]string, len(all))
	for i, t := range all {
		out[i] = t.GetRequest()
	}
	return out
}

// Remove removes some of a request's takeout, and reports whether there is more.
func (b *Book) Remove(tx kv.Tx, request string) (more bool, err error) {
	return b.remove(tx, key(request))
}

// Expire is Remove for a takeout that is past its time.
func (b *Book) Expire(tx *change.Tx, request string) error {
	tx.Unchanged()
	_, err := b.Remove(tx, request)
	return err
}

// Forget removes some of all takeouts of a customer, and reports whether there is
// more.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	return b.remove(tx, kv.Key{kv.String(customer)})
}

func (b *Book) remove(tx kv.Tx, of kv.Key) (more bool, err error) {
	if more, err = b.pages.RemoveAll(tx, kv.Query{Prefix: of, Limit: few}); more || err != nil {
		return more, err
	}
	return b.takeouts.RemoveAll(tx, kv.Query{Prefix: of, Limit: 100})
}
