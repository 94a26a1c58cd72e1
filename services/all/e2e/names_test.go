package e2e

import (
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is where the replicas' names are.
const zone = "guildhall.test"

// serveNames serves the addresses of services as service.guildhall.test and
// returns the server's address. It is how several replicas have one name, which
// gRPC clients balance over.
func serveNames(t testing.TB, hosts map[string][]string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Errorf("name server: %v", err)
				return
			}
			answer, err := answerName(buffer[:n], hosts)
			if err != nil {
				t.Errorf("name server: %v", err)
				continue
			}
			_, _ = conn.WriteTo(answer, from) // a lost answer is asked for again
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

// answerName answers one query: A records of a known name, else no such name.
func answerName(query []byte, hosts map[string][]string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		service, inZone := strings.CutSuffix(strings.ToLower(q.Name.String()), "."+zone+".")
		addresses, known := hosts[service]
		if !inZone || !known {
			m.RCode = dnsmessage.RCodeNameError
			continue
		}
		if q.Type != dnsmessage.TypeA {
			continue
		}
		for _, address := range addresses {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(address).To4())},
			})
		}
	}
	return m.Pack()
}
