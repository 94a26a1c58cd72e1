// Package likeness says when two customers look like one person: by which keys
// such pairs are found among very many (blocking), and what their fields say.
//
// It is the model of Fellegi and Sunter (A Theory for Record Linkage, 1969): each
// field adds a weight, the logarithm of how much oftener it comes out like this
// between two accounts of one person than between those of two, and the sum says
// how likely the first is. A value that many share weighs less (Winkler, 1989). The
// weights are guesses that were made once and are the same for everybody; nothing
// is learned from an organisation's customers.
//
// It is pure: it keeps nothing and knows no customers but the two.
package likeness

import (
	"slices"
	"strings"
	"unicode/utf8"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/naming"
)

// Version is part of the name of an index of keys: another version of this package,
// or of the pinyin dictionary, that gives other keys for a customer has another one.
const Version = "1"

// Fields that customers are found and compared by, for short.
const (
	byName    = identityv1.DuplicateEvidence_FIELD_NAME
	byEmail   = identityv1.DuplicateEvidence_FIELD_EMAIL
	byPhone   = identityv1.DuplicateEvidence_FIELD_PHONE
	byID      = identityv1.DuplicateEvidence_FIELD_EXTERNAL_ID
	byCountry = identityv1.DuplicateEvidence_FIELD_COUNTRY
)

// kinds are what keys of a field are called where they are stored, a letter in each
// entry of the index.
var kinds = [...]struct {
	kind  string
	field identityv1.DuplicateEvidence_Field
}{{"e", byEmail}, {"n", byName}, {"p", byPhone}}

const (
	// digits of a phone number are compared from its end: what comes before them is
	// the country's code and the trunk prefix, which people get wrong.
	digits = 9
	// leastLocal is the least characters of the local part of a mail address that
	// say anything, leastName the least letters of a name that find anybody.
	leastLocal, leastName = 3, 2
)

// posts are local parts that are nobody's own: those of RFC 2142, and their like.
const posts = " abuse ftp hostmaster info list-request marketing news noc postmaster sales security support usenet uucp webmaster www " +
	"admin contact hello mail me no-reply noreply none office service shop test unknown "

// Key is one by which a customer is found: of what it is, and the keyed hash of the
// value.
type Key struct {
	Kind string
	Hash [16]byte
}

// Field returns what the key is of.
func (k Key) Field() identityv1.DuplicateEvidence_Field {
	for _, known := range kinds {
		if known.kind == k.Kind {
			return known.field
		}
	}
	return identityv1.DuplicateEvidence_FIELD_UNSPECIFIED
}

// Compare orders keys by kind, then by hash.
func (k Key) Compare(other Key) int {
	if by := strings.Compare(k.Kind, other.Kind); by != 0 {
		return by
	}
	return slices.Compare(k.Hash[:], other.Hash[:])
}

// Keys returns the keys of a customer, sorted, each once: fewer than 20.
func Keys(h kv.Hasher, a *storev1.Account) []Key {
	var keys []Key
	add := func(kind, value string) {
		if value != "" {
			keys = append(keys, Key{Kind: kind, Hash: [16]byte(h.Hash("likeness of customers: "+kind, []byte(value)))})
		}
	}
	add("e", local(a.GetEmail()))
	add("p", ending(a.GetPhone()))
	if whole := naming.WholeOf(a.GetDisplayName()); len(whole.Written) > 0 && utf8.RuneCountInString(whole.Written[0]) >= leastName {
		for _, form := range slices.Concat(whole.Written, whole.Spelt) {
			add("n", form)
		}
	}
	slices.SortFunc(keys, Key.Compare)
	return slices.Compact(keys)
}

// Common returns the keys that two customers share, of their sorted ones.
func Common(a, b []Key) []Key {
	var out []Key
	for _, k := range a {
		if _, found := slices.BinarySearchFunc(b, k, Key.Compare); found {
			out = append(out, k)
		}
	}
	return out
}

// local returns the local part of a mail address as it is compared, "" of one that
// says nothing about a person.
func local(address string) string {
	folded := contact.FoldEmail(address)
	part := folded[:max(0, strings.LastIndexByte(folded, '@'))]
	if utf8.RuneCountInString(part) < leastLocal || strings.Contains(posts, " "+part+" ") {
		return ""
	}
	return part
}

// ending returns the end of a phone number, "" of one that is too short to have one.
func ending(number string) string {
	if len(number) <= digits {
		return ""
	}
	return number[len(number)-digits:]
}

// Same reports whether two states of a customer have the same keys, since what they
// are made of is the same. Nil is a customer of whom nothing is known.
func Same(a, b *storev1.Account) bool {
	return a.GetDisplayName() == b.GetDisplayName() && a.GetEmail() == b.GetEmail() && a.GetPhone() == b.GetPhone()
}

// Print returns a keyed hash of what is compared of a customer: it is another one
// when that has changed.
func Print(h kv.Hasher, a *storev1.Account) []byte {
	fields := []string{a.GetDisplayName(), contact.FoldEmail(a.GetEmail()), a.GetPhone(), a.GetExternalId(), a.GetCountry()}
	return h.Hash("print of a customer", []byte(strings.Join(fields, "\x00")))
}
