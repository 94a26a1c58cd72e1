package provider

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// How a connection to a mail server is made safe.
const (
	// TLS speaks TLS from the first byte (RFC 8314).
	TLS = "tls"
	// STARTTLS begins in clear and refuses to go on so (RFC 3207).
	STARTTLS = "starttls"
	// Clear is for a server on the same machine.
	Clear = "none"
)

const (
	// patience bounds one answer of a mail server, and one call of a hook.
	patience = 20 * time.Second
)

// SMTPConfig says where the mail server is.
type SMTPConfig struct {
	// Host and Port are the server's, Security is one of TLS, STARTTLS and Clear.
	Host     string
	Port     int
	Security string
	// Username and Password are for its login; without them there is none.
	Username, Password string
	// CAFile is a PEM file of those who certify the server; "" is the system's.
	CAFile string
	// From is the sender, as in "Acme <no-reply@acme.example>".
	From string
}

// SMTP gives mails to a server (RFC 5321), each over a connection of its own.
type SMTP struct {
	cfg  SMTPConfig
	from *mail.Address
	tls  *tls.Config
}

// NewSMTP returns a provider. It does not connect yet.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("provider: the sender %q is no mail address", cfg.From)
	}
	p := &SMTP{cfg: cfg, from: from, tls: &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}}
	if cfg.CAFile == "" {
		return p, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("provider: the certificates of the mail server's CAs: %w", err)
	}
	p.tls.RootCAs = x509.NewCertPool()
	if !p.tls.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("provider: %s holds no certificates in PEM", cfg.CAFile)
	}
	return p, nil
}

// Name implements Provider.
func (p *SMTP) Name() string { return "smtp" }

// Send implements Provider.
func (p *SMTP) Send(ctx context.Context, l Letter) error {
	body, err := compose(p.from, l)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", net.JoinHostPort(p.cfg.Host, strconv.Itoa(p.cfg.Port)))
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	// The library has deadlines of its own and no context.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	client, err := p.greet(conn)
	if err != nil {
		return fmt.Errorf("the mail server: %w", coded(err))
	}
	return p.deliver(client, l.To, body)
}

// greet begins to speak with the server, and logs in.
func (p *SMTP) greet(conn net.Conn) (client *smtp.Client, err error) {
	switch p.cfg.Security {
	case Clear:
		client = smtp.NewClient(conn)
	case STARTTLS:
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		if client, err = smtp.NewClientStartTLS(conn, p.tls); err != nil {
			return nil, err
		}
	default:
		client = smtp.NewClient(tls.Client(conn, p.tls))
	}
	client.CommandTimeout, client.SubmissionTimeout = patience, 3*patience
	if err := client.Hello(domainOf(p.from.Address)); err != nil {
		return nil, err
	}
	if p.cfg.Username == "" {
		return client, nil
	}
	return client, client.Auth(sasl.NewPlainClient("", p.cfg.Username, p.cfg.Password))
}

// deliver hands one mail over. What the server says for good of the recipient or
// of the mail is a refusal; what it says of the sender or of itself is a fault
// that somebody can mend.
func (p *SMTP) deliver(client *smtp.Client, to string, body []byte) error {
	if err := client.Mail(p.from.Address, nil); err != nil {
		return fmt.Errorf("the mail server, of the sender: %w", coded(err))
	}
	if err := client.Rcpt(to, nil); err != nil {
		return refusal("of the recipient", err)
	}
	w, err := client.Data()
	if err != nil {
		return refusal("of the mail", err)
	}
	if _, err := bytes.NewReader(body).WriteTo(w); err != nil {
		return fmt.Errorf("the mail server, of the mail: %w", coded(err))
	}
	if err := w.Close(); err != nil {
		return refusal("of the mail", err)
	}
	// It has the mail: how it takes the farewell does not matter.
	_ = client.Quit()
	return nil
}

// refusal is the error of a command that the server refused, for good or not.
func refusal(of string, err error) error {
	var said *smtp.SMTPError
	if errors.As(err, &said) && !said.Temporary() && said.Code >= 500 {
		return fmt.Errorf("%w: %s: %w", ErrRefused, of, coded(err))
	}
	return fmt.Errorf("the mail server, %s: %w", of, coded(err))
}

// coded takes the text out of a server's answer.
func coded(err error) error {
	var said *smtp.SMTPError
	if !errors.As(err, &said) {
		return err
	}
	return fmt.Errorf("it answers %d %d.%d.%d", said.Code, said.EnhancedCode[0], said.EnhancedCode[1], said.EnhancedCode[2])
}
