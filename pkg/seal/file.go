package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"guildhall.dev/pkg/errs"
)

// Options say how the keyset file is protected. The zero Options leave it to
// the file's mode alone.
type Options struct {
	// KEKFile is a file with a key-encryption key, 32 random bytes in base64
	// (openssl rand -base64 32), that wraps the keysets in the file. Keep it
	// on another volume than the file.
	KEKFile string
	// KEK wraps them with any AEAD of Tink's instead, such as one of a KMS
	// client. At most one of the two is set.
	KEK tink.AEAD
}

// Reasons of the errors of keyset files. Their messages are for the operator
// at the terminal and name the file.
const (
	// ReasonExposed: others may read the file (Precondition).
	ReasonExposed = "KEYSET_EXPOSED"
	// ReasonUnusable: the file is no keyset file, or one of a newer release
	// (Precondition).
	ReasonUnusable = "KEYSET_UNUSABLE"
	// ReasonKEK: the file is wrapped and the KEK is missing or another one,
	// or a KEK is configured and the file is not wrapped (Precondition).
	ReasonKEK = "KEYSET_KEK"
	// ReasonAccess: the file cannot be read or made (Precondition).
	ReasonAccess = "KEYSET_ACCESS"
)

// document is the keyset file. Each keyset is Tink's JSON, as a Keyset or,
// when wrapped, an EncryptedKeyset.
type document struct {
	Format  int             `json:"format"`
	Created time.Time       `json:"created"`
	Wrapped bool            `json:"wrapped"`
	AEAD    json.RawMessage `json:"aead"`
	PRF     json.RawMessage `json:"prf"`
}

const documentFormat = 1

// Associated data of the wrapped keysets, so that neither passes for the other.
const (
	aeadUse = "guildhall keyset aead"
	prfUse  = "guildhall keyset prf"
)

// encode returns the content of a keyset file.
func (k *keys) encode(kek tink.AEAD) ([]byte, error) {
	doc := document{Format: documentFormat, Created: k.created, Wrapped: kek != nil}
	var err error
	if doc.AEAD, err = encodeKeyset(k.seals, kek, aeadUse); err != nil {
		return nil, err
	}
	if doc.PRF, err = encodeKeyset(k.hashes, kek, prfUse); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return append(b, '\n'), err
}

func encodeKeyset(h *keyset.Handle, kek tink.AEAD, use string) ([]byte, error) {
	var b bytes.Buffer
	w := keyset.NewJSONWriter(&b)
	var err error
	if kek == nil {
		err = insecurecleartextkeyset.Write(h, w)
	} else {
		err = h.WriteWithAssociatedData(w, kek, []byte(use))
	}
	if err != nil {
		return nil, fmt.Errorf("encode the keyset: %w", err)
	}
	return b.Bytes(), nil
}

// load reads a keyset file, which must be readable by its owner only.
func load(path string, kek tink.AEAD) (*keys, error) {
	b, info, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	unusable := func(cause error) error {
		return errs.New(errs.Precondition, ReasonUnusable,
			fmt.Sprintf("%s is not a keyset file that this release reads; restore it from a backup", path), errs.Cause(cause))
	}
	var doc document
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, unusable(errors.New("malformed JSON")) // err may quote key material
	}
	if doc.Format != documentFormat {
		return nil, unusable(fmt.Errorf("format %d", doc.Format))
	}
	if doc.Wrapped != (kek != nil) {
		return nil, kekMismatch(path, doc.Wrapped)
	}
	seals, err := decodeKeyset(doc.AEAD, kek, aeadUse)
	if err != nil {
		return nil, undecodable(path, kek, err, unusable)
	}
	hashes, err := decodeKeyset(doc.PRF, kek, prfUse)
	if err != nil {
		return nil, undecodable(path, kek, err, unusable)
	}
	k, err := newKeys(doc.Created, seals, hashes)
	if err != nil {
		return nil, unusable(err)
	}
	k.file = info
	return k, nil
}

func decodeKeyset(b []byte, kek tink.AEAD, use string) (*keyset.Handle, error) {
	r := keyset.NewJSONReader(bytes.NewReader(b))
	if kek == nil {
		h, err := insecurecleartextkeyset.Read(r)
		if err != nil {
			return nil, errors.New("malformed keyset") // err may quote key material
		}
		return h, nil
	}
	return keyset.ReadWithAssociatedData(r, kek, []byte(use))
}

func kekMismatch(path string, wrapped bool) error {
	text := fmt.Sprintf("a key-encryption key is configured, but the keyset file %s is not wrapped; wrap it, or configure none", path)
	if wrapped {
		text = fmt.Sprintf("the keyset file %s is wrapped; configure its key-encryption key", path)
	}
	return errs.New(errs.Precondition, ReasonKEK, text)
}

// undecodable tells a wrong KEK, the likely fault of a wrapped file, from a
// damaged file.
func undecodable(path string, kek tink.AEAD, err error, unusable func(error) error) error {
	if kek == nil {
		return unusable(err)
	}
	return errs.New(errs.Precondition, ReasonKEK,
		fmt.Sprintf("the keyset file %s does not open with the key-encryption key; configure the one it was wrapped with", path), errs.Cause(err))
}

// readPrivate reads a file that nobody but its owner may read.
func readPrivate(path string) ([]byte, os.FileInfo, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, accessError(path, "read", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, accessError(path, "read", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, nil, errs.New(errs.Precondition, ReasonExposed,
			fmt.Sprintf("others may read %s (mode %04o), and with it all stored data; run: chmod 600 %s", path, info.Mode().Perm(), path))
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return nil, nil, accessError(path, "read", err)
	}
	return b.Bytes(), info, nil
}

func accessError(path, verb string, err error) error {
	return errs.New(errs.Precondition, ReasonAccess,
		fmt.Sprintf("cannot %s %s; check the folder and that this user owns it", verb, path), errs.Cause(err))
}
