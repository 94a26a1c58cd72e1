package change

import (
	"bytes"
	"context"
	"slices"

	"guildhall.dev/pkg/kv"
)

// forgetPage is how many answers ForgetAnswers reads at a time.
const forgetPage = 500

// ForgetAnswers removes the kept answers that speak of a resource or of what is
// below it, and those to calls of an account of that name, and returns how many
// there were: they are copies of what was answered, personal data too, and must not
// outlive it. A retry of such a call is made again. It reads all answers there are,
// some at a time, and is for what happens seldom.
func (j *Journal) ForgetAnswers(ctx context.Context, name string) (total int, err error) {
	for after := []byte(nil); ; {
		keys, last, err := j.speaking(ctx, after, name)
		if err != nil {
			return total, err
		}
		if len(keys) > 0 {
			if err := j.cfg.Store.Update(ctx, func(tx kv.Tx) error {
				for _, key := range keys {
					if err := tx.Delete(tableAnswers, key); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return total, err
			}
		}
		total += len(keys)
		if last == nil {
			return total, nil
		}
		after = last
	}
}

// speaking returns the keys of the answers of a page that speak of a resource or
// were given to it, and where to go on behind the page, nil at the end. Their
// expiries stay for the sweep.
func (j *Journal) speaking(ctx context.Context, after []byte, name string) (keys [][]byte, last []byte, err error) {
	err = j.cfg.Store.View(ctx, func(r kv.Reader) error {
		keys, last = nil, nil
		n, from := 0, []byte(nil)
		if after != nil {
			from = append(slices.Clone(after), 0)
		}
		for item, err := range r.Scan(tableAnswers, kv.Range{Start: from, Limit: forgetPage}) {
			if err != nil {
				return err
			}
			if _, _, response, err := parseAnswer(item.Value); err != nil {
				return err
			} else if to, err := answeredTo(item.Key); err != nil {
				return err
			} else if to == name || speaks(response, name) {
				keys = append(keys, slices.Clone(item.Key))
			}
			if n++; n == forgetPage {
				last = slices.Clone(item.Key)
			}
		}
		return nil
	})
	return keys, last, err
}

// answeredTo returns the account whose call an answer is to.
func answeredTo(raw []byte) (string, error) {
	key, err := kv.DecodeKey(raw)
	if err != nil {
		return "", internal("an answer under a key of unknown format: %w", err)
	}
	if len(key) == 0 {
		return "", nil
	}
	actor, _ := key[0].Value().(string)
	return actor, nil
}

// speaks reports whether a text has a name in it, and not only a longer one.
func speaks(text []byte, name string) bool {
	for {
		i := bytes.Index(text, []byte(name))
		if i < 0 {
			return false
		}
		text = text[i+len(name):]
		if len(text) == 0 || !ofID(text[0]) {
			return true
		}
	}
}

// ofID reports whether a byte can stand in the last segment of a name.
func ofID(c byte) bool { return c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' }
