package identity

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"path/filepath"
	"time"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/courier"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/provider"
)

// The providers that can be configured.
const (
	byFile = "file"
	bySMTP = "smtp"
	byHook = "hook"
)

// Delivery is how messages to people go.
type Delivery struct {
	Mail      string        `yaml:"mail" enum:"file,smtp,hook" doc:"Who brings mail: a mail server, an HTTP hook, or nobody, for who tries the suite out: messages are written to a file."`
	SMS       string        `yaml:"sms" enum:"file,hook" doc:"Who brings short messages."`
	From      string        `yaml:"from" doc:"The sender of mail, as in Acme <no-reply@acme.example>. Needed for smtp."`
	SMTP      SMTP          `yaml:"smtp" doc:"The mail server."`
	Hook      Hook          `yaml:"hook" doc:"A program of yours that brings messages on. They are posted to it as JSON, signed after Standard Webhooks."`
	File      string        `yaml:"file" doc:"The file. Empty is outbox.ndjson in the service's folder."`
	Attempts  int           `yaml:"attempts" min:"1" max:"100" doc:"How often a message is tried before it has failed, with delays from 10s that double up to an hour."`
	PerTarget int           `yaml:"per_target" min:"1" max:"1000" doc:"How many messages of an organisation go to one address or number at once; beyond, one every 10 minutes. Of all together four times as many. An account has so many codes sent to contacts of its own, too."`
	Keep      time.Duration `yaml:"keep" min:"168h" doc:"How long deliveries can be listed after they were made. What they said is gone as soon as it was sent."`
}

// SMTP is where the mail server is.
type SMTP struct {
	Host     string `yaml:"host" doc:"Its host name, which is also the one in its certificate."`
	Port     int    `yaml:"port" min:"1" max:"65535" doc:"Its port: 587 with starttls, 465 with tls."`
	TLS      string `yaml:"tls" enum:"starttls,tls,none" doc:"How the connection is made safe. none is for a server on the same machine."`
	Username string `yaml:"username" doc:"For its login; empty does not log in."`
	Password string `yaml:"password" secret:"true" doc:"For its login."`
	CAFile   string `yaml:"ca_file" doc:"PEM file with the CAs that certify it; empty is those of the system."`
}

// Hook is where messages are posted to.
type Hook struct {
	URL    string `yaml:"url" secret:"url" doc:"Its address, https or on this machine."`
	Secret string `yaml:"secret" secret:"true" doc:"What it is signed with: whsec_ and the base64 of 24 to 64 bytes."`
}

// Check wants what the chosen providers need.
func (d Delivery) Check(r *conf.Report) {
	if d.Mail == bySMTP {
		if _, err := mail.ParseAddress(d.From); err != nil {
			r.Fault("from", "must be a mail address, as in Acme <no-reply@acme.example>")
		}
		if d.SMTP.Host == "" {
			r.Fault("smtp.host", "must name the mail server")
		}
		if d.SMTP.TLS == provider.Clear && d.SMTP.Username != "" {
			r.Fault("smtp.tls", "must be starttls or tls where a password is sent")
		}
	}
	if d.Mail == byHook || d.SMS == byHook {
		if err := checkHook(d.Hook.URL); err != nil {
			r.Fault("hook.url", err.Error())
		}
		if _, err := provider.ParseSecret(d.Hook.Secret); err != nil {
			r.Fault("hook.secret", err.Error())
		}
	}
}

func checkHook(text string) error {
	u, err := url.Parse(text)
	local := err == nil && u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
	if err != nil || u.Host == "" || u.Scheme != "https" && !local {
		return errors.New("must be an https address, or an http one of this machine")
	}
	return nil
}

func defaultDelivery() Delivery {
	return Delivery{
		Mail: byFile, SMS: byFile, SMTP: SMTP{Port: 587, TLS: provider.STARTTLS},
		Attempts: delivery.DefaultAttempts, PerTarget: delivery.DefaultPerTarget, Keep: delivery.DefaultKeep,
	}
}

// newOutbox makes what keeps messages, and what they say.
func newOutbox(c *api.Centres, cfg Delivery, kit *serve.Kit) (err error) {
	c.Templates = message.New(c.Organizations)
	c.Outbox, err = delivery.New(delivery.Config{
		Hasher: kit.Ring, Organizations: c.Organizations, Attempts: cfg.Attempts, Keep: cfg.Keep, PerTarget: cfg.PerTarget,
	})
	return err
}

// newCourier returns what sends messages, over the configured providers.
func newCourier(c *api.Centres, cfg Delivery, kit *serve.Kit) (*courier.Courier, error) {
	open := openProviders{cfg: cfg, kit: kit}
	mail, err := open.named(cfg.Mail)
	if err != nil {
		return nil, err
	}
	sms, err := open.named(cfg.SMS)
	if err != nil {
		return nil, err
	}
	return courier.New(courier.Config{
		Store: c.Store, Journal: c.Journal, Outbox: c.Outbox, Templates: c.Templates, Mail: mail, SMS: sms, Issuer: kit.Issuer,
		Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
}

// openProviders opens each provider once.
type openProviders struct {
	cfg  Delivery
	kit  *serve.Kit
	file *provider.File
}

func (o *openProviders) named(name string) (provider.Provider, error) {
	switch name {
	case bySMTP:
		s := o.cfg.SMTP
		return provider.NewSMTP(provider.SMTPConfig{
			Host: s.Host, Port: s.Port, Security: s.TLS, Username: s.Username, Password: s.Password, CAFile: s.CAFile, From: o.cfg.From,
		})
	case byHook:
		return provider.NewHook(o.cfg.Hook.URL, o.cfg.Hook.Secret, o.kit.Clock)
	case byFile:
		return o.openFile()
	}
	return nil, fmt.Errorf("there is no provider %q", name)
}

func (o *openProviders) openFile() (provider.Provider, error) {
	if o.file != nil {
		return o.file, nil
	}
	path := o.cfg.File
	if path == "" {
		path = filepath.Join(o.kit.Folder, "outbox.ndjson")
	}
	file, err := provider.NewFile(path)
	if err != nil {
		return nil, err
	}
	o.file = file
	o.kit.Logger.Warn("messages to people are written to a file and reach nobody; see identity.delivery", "file", path)
	return file, nil
}
