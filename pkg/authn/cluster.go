package authn

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// clusterKeySize is the length of the shared key: as long as the HMAC's hash
// (RFC 7518 section 3.2).
const clusterKeySize = 32

// ClusterKey is the secret that all processes of one installation share and
// by which the suite's own services know each other.
type ClusterKey struct {
	secret []byte
}

// OpenClusterKey reads the key from a file, and makes the file when there is
// none: 32 random bytes in base64, mode 0600. Processes that start together on
// one new folder agree on one key. A file that others than its owner can read
// is refused.
func OpenClusterKey(path string) (*ClusterKey, error) {
	key, err := readClusterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createClusterKey(path); err != nil {
		return nil, fmt.Errorf("making the cluster key %s: %w", path, err)
	}
	return readClusterKey(path)
}

// NewClusterKey makes a key that no file holds, for tests and for one process
// that runs everything and keeps nothing.
func NewClusterKey() *ClusterKey {
	secret := make([]byte, clusterKeySize)
	rand.Read(secret) // never fails, by its contract
	return &ClusterKey{secret: secret}
}

func readClusterKey(path string) (*ClusterKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the cluster key: %w", err)
	}
	defer f.Close()
	// Asked of the open file, so that it cannot be swapped in between.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the cluster key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the cluster key %s can be read by others (mode %04o): run chmod 600 on it, "+
			"and replace it if it may have been read", path, info.Mode().Perm())
	}
	var text [256]byte
	n, err := f.Read(text[:])
	if err != nil && n == 0 {
		return nil, fmt.Errorf("the cluster key %s is empty: delete it, or restore it from the other processes' copy", path)
	}
	secret, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text[:n])))
	if err != nil || len(secret) != clusterKeySize {
		return nil, fmt.Errorf("the cluster key %s is not 32 bytes in base64", path)
	}
	return &ClusterKey{secret: secret}, nil
}

// createClusterKey writes a new key under a temporary name and links it into
// place: link fails where a rename would silently replace the key that another
// process has just made and read.
func createClusterKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".cluster-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	text := base64.StdEncoding.EncodeToString(NewClusterKey().secret) + "\n"
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// derive returns the key that the service signs its tokens with. Each issuer
// has its own (RFC 5869), so a service that is later given only its own key
// cannot speak for another.
func (k *ClusterKey) derive(issuer string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "guildhall service token v1 "+issuer, sha256.Size)
}

// Derive returns the installation's secret key for a purpose, 32 bytes, the
// same in every process. It opens no door between services: those keys are
// derived apart.
func (k *ClusterKey) Derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "guildhall shared key v1 "+purpose, sha256.Size)
}
