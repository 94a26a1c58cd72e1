package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

// authority is a CA that makes certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, a.cert, a.pem = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		a.t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue writes a pair for 127.0.0.1 and returns its files.
func (a *authority) issue(folder, name string) (certFile, keyFile string) {
	a.t.Helper()
	key, _, certPEM := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	put(a.t, certFile, certPEM)
	put(a.t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	return certFile, keyFile
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLS_mutualBetweenProcesses(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	caFile := filepath.Join(folder, "ca.crt")
	put(t, caFile, ca.pem)
	certFile, keyFile := ca.issue(folder, "suite")
	identity := start(t, []Builder{newFake(), newEdge()}, "--target=identity", "--grpc.tls.cert_file="+certFile,
		"--grpc.tls.key_file="+keyFile, "--grpc.tls.client_ca_file="+caFile)
	gateway := start(t, []Builder{newFake(), newEdge()}, "--target=gateway", "--services.identity="+identity.at.GRPC,
		"--auth.cluster_key_file="+filepath.Join(identity.data, "cluster.key"), "--http.tls.cert_file="+certFile, "--http.tls.key_file="+keyFile,
		"--dial.ca_file="+caFile, "--dial.cert_file="+certFile, "--dial.key_file="+keyFile)

	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + gateway.at.HTTP + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("a call over TLS and mTLS: %s %s %s, %v", resp.Proto, resp.Status, body, err)
	}

	// A client that shows no certificate gets no further than the handshake.
	conn, err := grpc.NewClient(identity.at.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err == nil {
		t.Error("a client without a certificate was served")
	}
	for _, p := range []*program{gateway, identity} {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestServerTLS_takesUpChangedFiles(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	certFile, keyFile := ca.issue(folder, "first")
	now := time.Now()
	load := func() (tls.Certificate, error) { return loadPair(certFile, keyFile) }
	current, err := newReloading(slog.New(slog.DiscardHandler), load, certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	current.now = func() time.Time { return now }
	name := func() string { return current.get().Leaf.Subject.CommonName }
	if name() != "first" {
		t.Errorf("the certificate is %s", name())
	}
	replace := func(change func()) {
		change()
		// Times of files may be as coarse as seconds.
		now = now.Add(2 * reloadEvery)
		for _, f := range []string{certFile, keyFile} {
			if err := os.Chtimes(f, now, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace(func() { ca.issue(folder, "second") })
	if name() != "second" {
		t.Errorf("after a change the certificate is %s", name())
	}
	replace(func() { put(t, keyFile, []byte("half a key")) })
	if name() != "second" {
		t.Errorf("after a broken change the certificate is %s", name())
	}
	replace(func() { ca.issue(folder, "third") })
	if name() != "third" {
		t.Errorf("after a repair the certificate is %s", name())
	}
}

func TestTLS_badFilesAreClear(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	certFile, keyFile := ca.issue(folder, "x")
	junk := filepath.Join(folder, "junk")
	put(t, junk, []byte("junk"))
	for name, cfg := range map[string]conf.TLS{
		"missing": {CertFile: filepath.Join(folder, "none"), KeyFile: keyFile},
		"junk":    {CertFile: junk, KeyFile: keyFile},
		"no CA":   {CertFile: certFile, KeyFile: keyFile, ClientCAFile: junk},
	} {
		if _, err := serverTLS(cfg, slog.New(slog.DiscardHandler)); !errs.Is(err, errs.Precondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
