// Package message knows what messages to people say: which kinds there are, their
// texts in Chinese and English, and the templates that organisations put in place
// of these.
//
// A template is plain text with {{variables}}, and no more: no condition, no
// function and no HTML, so that whoever words a message decides how it reads and
// nothing else. Values are put into the parsed template and never parsed
// themselves; the HTML part of a mail is made of the text, with all of it escaped.
//
// Nothing that strangers choose, as the name of an account, is a variable: who can
// register under any name would else write to anybody in the enterprise's own.
//
// To whom messages go, and when, is package delivery's to know.
package message

import (
	"maps"
	"slices"
	"strconv"
	"time"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// The kinds and channels of messages, for short.
const (
	Invitation          = identityv1.MessageKind_MESSAGE_KIND_INVITATION
	PasswordChanged     = identityv1.MessageKind_MESSAGE_KIND_PASSWORD_CHANGED
	PasswordReset       = identityv1.MessageKind_MESSAGE_KIND_PASSWORD_RESET
	ContactVerification = identityv1.MessageKind_MESSAGE_KIND_CONTACT_VERIFICATION
	ContactChanged      = identityv1.MessageKind_MESSAGE_KIND_CONTACT_CHANGED
	TaskReminder        = identityv1.MessageKind_MESSAGE_KIND_TASK_REMINDER
	FactorAdded         = identityv1.MessageKind_MESSAGE_KIND_FACTOR_ADDED
	FactorRemoved       = identityv1.MessageKind_MESSAGE_KIND_FACTOR_REMOVED
	CodesRegenerated    = identityv1.MessageKind_MESSAGE_KIND_RECOVERY_CODES_REGENERATED
	RecoveryCodeUsed    = identityv1.MessageKind_MESSAGE_KIND_RECOVERY_CODE_USED
	ErasureRequested    = identityv1.MessageKind_MESSAGE_KIND_ERASURE_REQUESTED
	DataRequested       = identityv1.MessageKind_MESSAGE_KIND_DATA_REQUESTED

	Email = identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL
	SMS   = identityv1.MessageChannel_MESSAGE_CHANNEL_SMS
)

// The languages that messages are in. English is for who has not chosen.
const (
	Chinese = "zh-CN"
	English = "en"
)

// The variables of templates.
const (
	Organization = "organization" // what it is called
	Code         = "code"
	Valid        = "valid"   // how long what the message says is of use: "10 minutes"
	Time         = "time"    // when it happened, is due, or begins
	Contact      = "contact" // a part of the new address or number: "a***@example.com"
	Link         = "link"    // where to use the code, which is in it
	Factor       = "factor"  // what was added or removed: "a passkey"
)

// Language returns the language of a message to somebody who has chosen, or else
// whose organisation has.
func Language(chosen, ofOrganization string) string {
	for _, l := range []string{chosen, ofOrganization} {
		if l == Chinese || l == English {
			return l
		}
	}
	return English
}

// variables returns what templates of a kind may speak of.
func variables(kind identityv1.MessageKind) []string {
	switch kind {
	case PasswordChanged, TaskReminder, CodesRegenerated, RecoveryCodeUsed, ErasureRequested, DataRequested:
		return []string{Organization, Time}
	case ContactChanged:
		return []string{Organization, Time, Contact}
	case FactorAdded, FactorRemoved:
		return []string{Organization, Time, Factor}
	case PasswordReset:
		return []string{Organization, Code, Valid, Link}
	default:
		return []string{Organization, Code, Valid}
	}
}

// HasCode reports whether messages of a kind bring a code.
func HasCode(kind identityv1.MessageKind) bool { return len(required(kind)) > 0 }

// IsNews reports whether messages of a kind tell an account what was done to it: it
// is not asked for, and whoever did it must not be able to hold it up.
func IsNews(kind identityv1.MessageKind) bool {
	switch kind {
	case PasswordChanged, ContactChanged, FactorAdded, FactorRemoved, CodesRegenerated, RecoveryCodeUsed, ErasureRequested, DataRequested:
		return true
	}
	return false
}

// Supersedes reports whether a message makes one of its kind, which waits to go to
// the same place, of no use: that one's code is void, or it says the same. Of news
// that came twice the later time will do.
func Supersedes(kind identityv1.MessageKind, now, before Values) bool {
	if HasCode(kind) {
		return true
	}
	if IsNews(kind) {
		now, before = maps.Clone(now), maps.Clone(before)
		delete(now, Time)
		delete(before, Time)
	}
	return maps.Equal(now, before)
}

// isSecret reports whether the value of a variable lets its reader in.
func isSecret(variable string) bool { return variable == Code || variable == Link }

// required returns the variables without which a text of the kind is useless.
func required(kind identityv1.MessageKind) []string {
	return slices.DeleteFunc(variables(kind), func(v string) bool { return v != Code })
}

// Duration says how long something is valid, in whole units: "10 minutes", "7
// days". It rounds down, so that nothing is promised that is not kept.
func Duration(language string, d time.Duration) string {
	for _, unit := range []struct {
		length          time.Duration
		chinese, one, n string
	}{
		{24 * time.Hour, "天", "day", "days"},
		{time.Hour, "小时", "hour", "hours"},
		{time.Minute, "分钟", "minute", "minutes"},
	} {
		n := int64(d / unit.length)
		switch {
		case n == 0 && unit.length > time.Minute:
			continue
		case language == Chinese:
			return strconv.FormatInt(n, 10) + unit.chinese
		case n == 1:
			return "1 " + unit.one
		default:
			return strconv.FormatInt(n, 10) + " " + unit.n
		}
	}
	return ""
}

// Moment writes a time so that it can be read anywhere.
func Moment(t time.Time) string { return MomentIn(t, time.UTC) }

// MomentIn is Moment on the clocks of a place, which it names.
func MomentIn(t time.Time, place *time.Location) string {
	return t.In(place).Format("2006-01-02 15:04 ") + place.String()
}
