package provider

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message/mail"
)

// compose writes a mail after RFC 5322: plain text and HTML of one content. It is
// the same, byte for byte but for the boundary between them, at each attempt.
//
// Nothing in it can add a header field or a recipient. The address is one that
// parses as one and nothing else, the subject is encoded, and the writer refuses
// line ends in fields all the same.
func compose(from *mail.Address, l Letter) ([]byte, error) {
	to, err := recipient(l.To)
	if err != nil {
		return nil, err
	}
	var h mail.Header
	h.SetDate(l.Time.UTC())
	h.SetAddressList("From", []*mail.Address{from})
	h.SetAddressList("To", []*mail.Address{to})
	h.SetSubject(l.Text.Subject)
	h.SetMessageID(l.ID + "@" + domainOf(from.Address))
	h.SetText("Content-Language", l.Language)
	// No vacation answers to a machine (RFC 3834).
	h.SetText("Auto-Submitted", "auto-generated")
	var out bytes.Buffer
	w, err := mail.CreateInlineWriter(&out, h)
	if err != nil {
		return nil, fmt.Errorf("compose a mail: %w", err)
	}
	for _, part := range []struct{ kind, text string }{{"text/plain", l.Text.Plain}, {"text/html", l.Text.HTML}} {
		if err := writePart(w, part.kind, part.text); err != nil {
			return nil, fmt.Errorf("compose a mail: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compose a mail: %w", err)
	}
	return out.Bytes(), nil
}

func writePart(w *mail.InlineWriter, kind, text string) error {
	var h mail.InlineHeader
	h.SetContentType(kind, map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	part, err := w.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(part, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		return err
	}
	return part.Close()
}

// recipient returns the one address that a text is. The error is ErrRefused.
func recipient(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || a.Name != "" || strings.ContainsAny(text, "\r\n\x00") {
		return nil, fmt.Errorf("%w: what it goes to is no mail address", ErrRefused)
	}
	return a, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
