// Package contact knows how people are reached: by which mail address or phone
// number, when two spellings are one, and what of it can be shown to who need not
// know it.
//
// It keeps nothing. Whose contact is whose is package account's to know.
package contact

import (
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/datamask"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// Contact is a way to reach somebody. The zero Contact is none.
type Contact struct {
	Channel identityv1.MessageChannel
	// Target is a mail address as it was written, or a phone number in E.164.
	Target string
}

// Of returns how an account is reached: by its mail address, or else its phone.
func Of(a *storev1.Account) Contact {
	switch {
	case a.GetEmail() != "":
		return Email(a.GetEmail())
	case a.GetPhone() != "":
		return Phone(a.GetPhone())
	}
	return Contact{}
}

// Channels are the ways to reach somebody, the one that comes first first.
func Channels() []identityv1.MessageChannel {
	return []identityv1.MessageChannel{
		identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL, identityv1.MessageChannel_MESSAGE_CHANNEL_SMS,
	}
}

// On returns how an account is reached on a channel; its Target is empty of an
// account that is not.
func On(a *storev1.Account, channel identityv1.MessageChannel) Contact {
	if channel == identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL {
		return Email(a.GetEmail())
	}
	return Phone(a.GetPhone())
}

// All returns how an account is reached on all channels on which it is.
func All(a *storev1.Account) (out []Contact) {
	for _, channel := range Channels() {
		if c := On(a, channel); c.Target != "" {
			out = append(out, c)
		}
	}
	return out
}

// Same reports whether two accounts are reached alike on a channel.
func Same(a, b *storev1.Account, channel identityv1.MessageChannel) bool {
	return On(a, channel).Folded() == On(b, channel).Folded()
}

// Set makes a contact an account's.
func Set(a *storev1.Account, c Contact) {
	if c.Channel == identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL {
		a.Email = c.Target
	} else {
		a.Phone = c.Target
	}
}

// VerifyTime returns when an account's contact was proven to be theirs, nil of one
// that was not.
func VerifyTime(a *storev1.Account, channel identityv1.MessageChannel) *timestamppb.Timestamp {
	if channel == identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL {
		return a.GetEmailVerifyTime()
	}
	return a.GetPhoneVerifyTime()
}

// Verified reports whether an account has a contact on a channel that was proven to
// be theirs.
func Verified(a *storev1.Account, channel identityv1.MessageChannel) bool {
	return On(a, channel).Target != "" && VerifyTime(a, channel) != nil
}

// Proven returns the contacts of an account that were proven to be its owner's.
func Proven(a *storev1.Account) (out []Contact) {
	for _, c := range All(a) {
		if Verified(a, c.Channel) {
			out = append(out, c)
		}
	}
	return out
}

// SetVerified says when a contact was proven, or with nil that it was not.
func SetVerified(a *storev1.Account, channel identityv1.MessageChannel, at *timestamppb.Timestamp) {
	if channel == identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL {
		a.EmailVerifyTime = at
	} else {
		a.PhoneVerifyTime = at
	}
}

// Email is a mail address.
func Email(address string) Contact {
	return Contact{Channel: identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL, Target: address}
}

// Phone is a phone number in E.164.
func Phone(number string) Contact {
	return Contact{Channel: identityv1.MessageChannel_MESSAGE_CHANNEL_SMS, Target: number}
}

// Folded returns the form in which contacts are compared.
func (c Contact) Folded() string {
	if c.Channel == identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL {
		return FoldEmail(c.Target)
	}
	return c.Target
}

// Hint returns what the person knows it by and others cannot use:
// "a***@example.com", "***8000".
func (c Contact) Hint() string {
	if c.Channel != identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL {
		return datamask.Cover(optionsv1.Mask_MASK_LAST_FOUR, nil, c.Target)
	}
	first := ""
	for _, r := range c.Target {
		first = string(r)
		break
	}
	return first + datamask.Cover(optionsv1.Mask_MASK_DOMAIN, nil, c.Target)
}

// FoldEmail returns the form in which mail addresses are compared: without
// regard to case, and in NFC. Providers fold the local part too, whatever
// RFC 5321 section 2.4 allows them.
func FoldEmail(address string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(address)))
}
