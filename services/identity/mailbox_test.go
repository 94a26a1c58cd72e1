package identity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// mail is a message as it is written to the file.
type mail struct {
	ID, Delivery, Kind, Channel, Language, To, Subject, Text, HTML string
}

// mailbox returns the messages that were sent so far.
func (p *process) mailbox() (out []mail) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, "outbox.ndjson"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var envelope struct{ Data mail }
		if err := json.Unmarshal(line, &envelope); err != nil {
			p.t.Fatal(err)
		}
		out = append(out, envelope.Data)
	}
	return out
}

// awaitMail waits for a message of a kind to somebody, and returns the newest.
func (p *process) awaitMail(kind, to string) (m mail) {
	p.t.Helper()
	p.await("a message of kind "+kind+" to "+to, func() bool {
		for _, m = range slices.Backward(p.mailbox()) {
			if m.Kind == kind && m.To == to {
				return true
			}
		}
		return false
	})
	return m
}

// awaitSent waits until a delivery is sent.
func (p *process) awaitSent(ctx context.Context, name string) (d *identityv1.Delivery) {
	p.t.Helper()
	p.await("a sent delivery", func() bool {
		var err error
		if d, err = p.deliveries().GetDelivery(ctx, &identityv1.GetDeliveryRequest{Name: name}); err != nil {
			p.t.Fatal(err)
		}
		return d.GetState() == identityv1.Delivery_STATE_SENT
	})
	return d
}

// await waits until something is so.
func (p *process) await(what string, so func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(30 * time.Second); !so(); {
		select {
		case <-ticker.C:
		case <-deadline:
			p.t.Fatalf("no %s within 30s", what)
		}
	}
}

// below returns the tables of a process that was closed that hold a text, looked
// at through the seal.
func (p *process) below(text string) (where []string) {
	p.t.Helper()
	if err := p.ring.Wrap(p.reopen()).View(context.Background(), func(r kv.Reader) error {
		where = nil
		for _, table := range p.tables {
			for item, err := range r.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				if bytes.Contains(item.Key, []byte(text)) || bytes.Contains(item.Value, []byte(text)) {
					where = append(where, table)
				}
			}
		}
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	return where
}

func wantNotFound(t testing.TB, err error) {
	t.Helper()
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("%v, want not found", err)
	}
}

// codeIn returns the code that stands in a line of its own.
func codeIn(m mail) string {
	for line := range strings.Lines(m.Text) {
		if line = strings.TrimSpace(line); len(line) >= 6 && !strings.ContainsAny(line, " 。，") {
			return line
		}
	}
	return ""
}
