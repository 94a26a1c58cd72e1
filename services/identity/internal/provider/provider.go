// Package provider gives messages to those who bring them to people: a mail
// server, a program behind an HTTP hook, or, in development, a file.
//
// A provider sends one message once, and says whether it was taken. When to try,
// and how often, is package courier's. No error of this package holds an address,
// a number or a text: what mail servers answer often quotes them, so that of their
// answers only the codes are kept.
package provider

import (
	"context"
	"errors"
	"time"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/message"
)

// ErrRefused is of a message that the provider will never take. Any other error is
// of one that it may take later.
var ErrRefused = errors.New("the provider refuses the message")

// Provider is who brings messages to people. It is safe for concurrent use.
type Provider interface {
	// Name is a word for metrics: "smtp".
	Name() string
	// Send gives a message to the provider, and returns when it has taken it. An
	// error may be an *errs.Error that says when to come back.
	Send(ctx context.Context, l Letter) error
}

// Letter is a message on its way.
type Letter struct {
	// Delivery is the resource name, ID the message's own: the same at each
	// attempt, so that the provider can tell a second from another.
	Delivery, ID string
	Channel      identityv1.MessageChannel
	Kind         identityv1.MessageKind
	Language     string
	// To is a mail address, or a phone number in E.164.
	To   string
	Text message.Text
	// Time is when the message was made.
	Time time.Time
}
