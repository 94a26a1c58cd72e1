package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The encoding of a part is its kind as one byte, then
//
//	String, Bytes   the bytes with 00 written as 00 ff, then 00 01
//	Uint64, Int64   8 bytes, big endian, the sign of Int64 flipped
//	Time            8 bytes of Unix seconds as Int64, 4 bytes of nanoseconds
//	Personal        16 bytes of keyed hash
//
// The terminator is 00 01 and not 00 alone, as FoundationDB's tuple layer has
// it: there the encoding of ("a") is a prefix of that of ("a\x00b"), and a
// range scan for the first would return the second.
const (
	escape     = 0x00
	escapedNul = 0xff
	terminator = 0x01
)

// digestSize is the length of a hashed personal part.
const digestSize = 16

// tagPrimary stands between an index key and the primary key in an entry of a
// multi-valued index. It is below every kind, so entries still order by the
// index tuple first.
const tagPrimary = 0x01

var (
	errNoHasher = errors.New("kv: a personal key part needs a table with a Hasher")
	errBadKey   = errors.New("kv: malformed key")
)

// Encode appends the encoding of k to dst. The hasher may be nil for a key
// without personal parts; context keeps equal personal values of two tables
// or indexes from having equal hashes. Table does this for its own keys.
func (k Key) Encode(dst []byte, h Hasher, context string) ([]byte, error) {
	for _, p := range k {
		if p.kind == kindInClear {
			digest, err := hashPersonal(p.text, h, context)
			if err != nil {
				return nil, err
			}
			p = Part{kind: kindDigest, text: digest}
		}
		var err error
		if dst, err = p.append(dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func hashPersonal(value string, h Hasher, context string) (string, error) {
	if h == nil {
		return "", errNoHasher
	}
	digest := h.Hash(context, []byte(value))
	if len(digest) != digestSize {
		return "", fmt.Errorf("kv: hasher returned %d bytes, want %d", len(digest), digestSize)
	}
	return string(digest), nil
}

func (p Part) append(dst []byte) ([]byte, error) {
	dst = append(dst, byte(p.kind))
	switch p.kind {
	case kindString, kindBytes:
		return appendEscaped(dst, p.text), nil
	case kindUint64, kindInt64:
		return binary.BigEndian.AppendUint64(dst, p.num), nil
	case kindTime:
		dst = binary.BigEndian.AppendUint64(dst, p.num)
		return binary.BigEndian.AppendUint32(dst, p.nanos), nil
	case kindDigest:
		return append(dst, p.text...), nil
	}
	return nil, fmt.Errorf("kv: key part of unknown kind %#x", byte(p.kind))
}

func appendEscaped(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, escape)
		if i < 0 {
			break
		}
		dst = append(append(dst, s[:i]...), escape, escapedNul)
		s = s[i+1:]
	}
	return append(append(dst, s...), escape, terminator)
}

// DecodeKey is the inverse of Encode. A personal part comes back as its hash,
// which encodes to the same bytes again and has no Value.
func DecodeKey(b []byte) (Key, error) {
	k, rest, err := decodeParts(b)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, errBadKey
	}
	return k, nil
}

// decodeParts decodes up to the end of b or to a tagPrimary, which it leaves
// at the head of rest.
func decodeParts(b []byte) (k Key, rest []byte, err error) {
	for len(b) > 0 && b[0] != tagPrimary {
		var p Part
		if p, b, err = decodePart(b); err != nil {
			return nil, nil, err
		}
		k = append(k, p)
	}
	return k, b, nil
}

func decodePart(b []byte) (Part, []byte, error) {
	p := Part{kind: partKind(b[0])}
	b = b[1:]
	switch p.kind {
	case kindString, kindBytes:
		return decodeEscaped(p, b)
	case kindUint64, kindInt64:
		if len(b) < 8 {
			return Part{}, nil, errBadKey
		}
		p.num = binary.BigEndian.Uint64(b)
		return p, b[8:], nil
	case kindTime:
		if len(b) < 12 {
			return Part{}, nil, errBadKey
		}
		p.num, p.nanos = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
		if p.nanos >= 1e9 {
			return Part{}, nil, errBadKey
		}
		return p, b[12:], nil
	case kindDigest:
		if len(b) < digestSize {
			return Part{}, nil, errBadKey
		}
		p.text = string(b[:digestSize])
		return p, b[digestSize:], nil
	}
	return Part{}, nil, errBadKey
}

func decodeEscaped(p Part, b []byte) (Part, []byte, error) {
	var text []byte
	for i := 0; i+1 < len(b); i++ {
		if b[i] != escape {
			text = append(text, b[i])
			continue
		}
		i++
		switch b[i] {
		case escapedNul:
			text = append(text, escape)
		case terminator:
			p.text = string(text)
			return p, b[i+1:], nil
		default:
			return Part{}, nil, errBadKey
		}
	}
	return Part{}, nil, errBadKey
}
