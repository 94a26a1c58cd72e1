package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// postOffice is a mail server on this machine.
type postOffice struct {
	config SMTPConfig // how to reach it

	mu      sync.Mutex
	mails   []received
	answers map[string]*smtp.SMTPError // to recipients that are refused
}

type received struct {
	from, to, login string
	secure          bool
	body            string
}

// newPostOffice starts a server with a certificate of its own that ends with the
// test.
func newPostOffice(t *testing.T, security string) *postOffice {
	t.Helper()
	p := &postOffice{answers: map[string]*smtp.SMTPError{}}
	certificate, file := certify(t)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, secure := c.TLSConnectionState()
		return &counter{office: p, secure: secure}, nil
	}))
	server.AllowInsecureAuth = false
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	p.config = SMTPConfig{Host: "127.0.0.1", Security: security, CAFile: file, From: `"Acme, Inc." <no-reply@acme.example>`}
	if p.config.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate}}
	switch security {
	case STARTTLS:
		server.TLSConfig = cfg
	case TLS:
		listener = tls.NewListener(listener, cfg)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() { server.Close(); running.Wait() })
	return p
}

func (p *postOffice) received() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]received(nil), p.mails...)
}

// counter is one conversation with the server.
type counter struct {
	office *postOffice
	secure bool
	now    received
}

func (c *counter) AuthMechanisms() []string { return []string{sasl.Plain} }
func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if password != "open sesame" {
			return smtp.ErrAuthFailed
		}
		c.now.login = username
		return nil
	}), nil
}
func (c *counter) Reset()        {}
func (c *counter) Logout() error { return nil }
func (c *counter) Mail(from string, _ *smtp.MailOptions) error {
	c.now.from, c.now.secure = from, c.secure
	return nil
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	if answer := c.office.answers[to]; answer != nil {
		return answer
	}
	c.now.to = to
	return nil
}

func (c *counter) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	c.now.body = string(body)
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	c.office.mails = append(c.office.mails, c.now)
	return err
}

// certify makes a certificate for this machine, and a file of who signed it.
func certify(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
