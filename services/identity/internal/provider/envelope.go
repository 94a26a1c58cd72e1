package provider

import (
	"strings"
	"time"
)

// envelope is a letter as programs read it, in the form of Standard Webhooks.
// Fields are only ever added.
type envelope struct {
	Type      string    `json:"type"` // "guildhall.identity.message.v1"
	Timestamp time.Time `json:"timestamp"`
	Data      content   `json:"data"`
}

type content struct {
	ID       string `json:"id"`
	Delivery string `json:"delivery"`
	Kind     string `json:"kind"`
	Channel  string `json:"channel"`
	Language string `json:"language"`
	To       string `json:"to"`
	Subject  string `json:"subject,omitempty"`
	Text     string `json:"text"`
	HTML     string `json:"html,omitempty"`
}

func envelopeOf(l Letter) envelope {
	return envelope{Type: "guildhall.identity.message.v1", Timestamp: l.Time.UTC(), Data: content{
		ID: l.ID, Delivery: l.Delivery, Kind: strings.TrimPrefix(l.Kind.String(), "MESSAGE_KIND_"),
		Channel: strings.TrimPrefix(l.Channel.String(), "MESSAGE_CHANNEL_"), Language: l.Language,
		To: l.To, Subject: l.Text.Subject, Text: l.Text.Plain, HTML: l.Text.HTML,
	}}
}
