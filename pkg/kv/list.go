package kv

import (
	"bytes"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
)

// Query selects records of a table in the order of its primary key or of an
// index. The zero Query is all records.
type Query struct {
	// Index names the index to follow; empty is the primary key.
	Index string
	// Prefix keeps the keys that begin with these parts.
	Prefix Key
	// From and Until keep the keys k with Prefix+From <= k < Prefix+Until.
	// Nil is no bound. A time range on keys (group, time) is Prefix
	// {String(group)}, From {Time(a)}, Until {Time(b)}.
	From, Until Key
	// Reverse goes from the last key to the first.
	Reverse bool
	// Limit is the most records to return; zero is all.
	Limit int
	// After is the Position of the record to go on behind, in the direction
	// of the query. Nil begins at the beginning.
	After []byte
}

// Page is one page of a List.
type Page[T proto.Message] struct {
	Records []Record[T]
	// Next is what to give to Query.After for the next page; nil when this
	// page is the last. It is not for clients to see: it holds keys. See
	// pkg/page.
	Next []byte
}

// Values returns the values of the page's records.
func (p Page[T]) Values() []T {
	out := make([]T, len(p.Records))
	for i, rec := range p.Records {
		out[i] = rec.Value
	}
	return out
}

// Chunks of a scan without a limit grow from the first size to the second, so
// that a loop that stops early reads little and a long one makes few round
// trips. With a limit, the caller has said how much it wants.
const firstChunk, maxChunk = 64, 512

// pageBytes is about how large the records of a page may be together. A page
// that is full of large records is shorter than its limit and has a Next
// (AIP-158 allows it); else some pages would be too large to send at all.
const pageBytes = 1 << 20

// List returns one page of the records that q selects: at most q.Limit, and
// fewer when they are large. Without a limit it returns all of them. A record
// that has several keys in the range of an index is returned once for each.
func (t *Table[T]) List(r Reader, q Query) (Page[T], error) {
	var page Page[T]
	limit, size := q.Limit, 0
	if limit > 0 {
		q.Limit++ // one more tells whether there is another page
	}
	for rec, err := range t.Scan(r, q) {
		if err != nil {
			return Page[T]{}, err
		}
		if limit > 0 && (len(page.Records) == limit || size >= pageBytes) {
			page.Next = page.Records[len(page.Records)-1].Position
			break
		}
		page.Records = append(page.Records, rec)
		size += proto.Size(rec.Value)
	}
	return page, nil
}

// Select returns one page of the records that q selects and of which the condition
// is true: it is for conditions that no index serves. It looks at most at inVain
// records that do not meet it, so that a page may have fewer than q.Limit, or none,
// and a Next all the same; and as List's it is short when records are large.
func (t *Table[T]) Select(r Reader, q Query, inVain int, condition func(T) bool) (Page[T], error) {
	var page Page[T]
	var last []byte
	limit, size, missed := q.Limit, 0, 0
	q.Limit = 0
	chunk := firstChunk
	if limit > 0 && limit < chunk {
		chunk = limit + 1 // who asks for few mostly finds them among the first
	}
	for rec, err := range t.scan(r, q, chunk) {
		if err != nil {
			return Page[T]{}, err
		}
		if limit > 0 && (len(page.Records) == limit || size >= pageBytes) || missed == inVain {
			page.Next = last
			break
		}
		if condition(rec.Value) {
			page.Records = append(page.Records, rec)
			size += proto.Size(rec.Value)
		} else {
			missed++
		}
		last = rec.Position
	}
	return page, nil
}

// Due returns the values whose time in the index, the first part of its key, is at or
// before now: at most limit of them, those that came due first.
func (t *Table[T]) Due(r Reader, indexName string, now time.Time, limit int) ([]T, error) {
	page, err := t.List(r, due(indexName, now, limit))
	return page.Values(), err
}

func due(indexName string, now time.Time, limit int) Query {
	return Query{Index: indexName, Until: Key{Time(now.Add(1))}, Limit: limit}
}

// Count returns how many records q selects, at most q.Limit. It reads them: it is
// for questions like whether there are already as many as there may be.
func (t *Table[T]) Count(r Reader, q Query) (n int, err error) {
	for _, err := range t.Scan(r, q) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Scan yields the records that q selects, each with its Position, and ends at
// the first error it yields. It reads ahead in chunks and holds no engine
// resource while the loop body runs: the body may use the same transaction,
// also to write, and may or may not see such writes in the scan.
func (t *Table[T]) Scan(r Reader, q Query) iter.Seq2[Record[T], error] {
	return t.scan(r, q, firstChunk)
}

// scan is Scan with the size of the first chunk of one without a limit.
func (t *Table[T]) scan(r Reader, q Query, first int) iter.Seq2[Record[T], error] {
	return func(yield func(Record[T], error) bool) {
		p, err := t.plan(q)
		if err != nil {
			yield(Record[T]{}, err)
			return
		}
		p.Limit = first
		for left := q.Limit; ; p.Limit = min(2*p.Limit, maxChunk) {
			if q.Limit > 0 {
				p.Limit = min(left, maxChunk)
			}
			records, err := t.chunk(r, p)
			if err != nil {
				yield(Record[T]{}, err)
				return
			}
			for _, rec := range records {
				if !yield(rec, nil) {
					return
				}
			}
			left -= len(records)
			if len(records) < p.Limit || (q.Limit > 0 && left == 0) {
				return
			}
			p.goOnAfter(records[len(records)-1].Position)
		}
	}
}

// plan is a Query in terms of a raw table.
type plan[T proto.Message] struct {
	Range
	table string
	index *index[T] // nil for the primary key
}

func (t *Table[T]) plan(q Query) (plan[T], error) {
	p := plan[T]{table: t.cfg.Name}
	encode := t.encode
	if q.Index != "" {
		x, err := t.index(q.Index)
		if err != nil {
			return p, err
		}
		p.table, p.index, encode = x.table, &x, x.encode
	}
	prefix, err := encode(q.Prefix)
	if err != nil {
		return p, err
	}
	p.Range = Prefix(prefix)
	p.Reverse = q.Reverse
	if q.From != nil {
		if p.Start, err = encode(q.Prefix.With(q.From...)); err != nil {
			return p, err
		}
	}
	if q.Until != nil {
		if p.End, err = encode(q.Prefix.With(q.Until...)); err != nil {
			return p, err
		}
	}
	if len(q.After) > 0 {
		p.goOnAfter(q.After)
	}
	return p, nil
}

// goOnAfter narrows the range to what follows key in its direction.
func (p *plan[T]) goOnAfter(key []byte) {
	if p.Reverse {
		if p.End == nil || bytes.Compare(key, p.End) < 0 {
			p.End = key
		}
		return
	}
	next := append(bytes.Clone(key), 0)
	if bytes.Compare(next, p.Start) > 0 {
		p.Start = next
	}
}

// chunk reads the records of one range.
func (t *Table[T]) chunk(r Reader, p plan[T]) ([]Record[T], error) {
	// An engine may see Start past End as a mistake; it is only the end.
	if p.End != nil && bytes.Compare(p.Start, p.End) >= 0 {
		return nil, nil
	}
	var items []Item
	for item, err := range r.Scan(p.table, p.Range) {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	if p.index != nil {
		return t.follow(r, *p.index, items)
	}
	records := make([]Record[T], len(items))
	for i, item := range items {
		var err error
		if records[i], err = t.decode(item.Value); err != nil {
			return nil, err
		}
		records[i].Position = item.Key
	}
	return records, nil
}

// follow reads the records that index entries name.
func (t *Table[T]) follow(r Reader, x index[T], entries []Item) ([]Record[T], error) {
	if len(entries) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(entries))
	for i, e := range entries {
		var err error
		if keys[i], err = x.primary(e); err != nil {
			return nil, err
		}
	}
	records, err := t.getMany(r, keys)
	if err != nil {
		return nil, err
	}
	for i := range records {
		if !records[i].Found() {
			return nil, corrupt("index %s: an entry without a record", x.table)
		}
		records[i].Position = entries[i].Key
	}
	return records, nil
}
