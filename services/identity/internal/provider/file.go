package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// mostFile is the size from which a file is put aside.
const mostFile = 16 << 20

// File writes messages to a file, one as JSON on each line, for who tries the suite
// out: nobody gets them. Only the user of the process can read it. A full one takes
// the place of the one before, under its name and ".old".
type File struct {
	path string

	mu sync.Mutex
}

// NewFile returns a provider that writes to path. It makes the file's folder, and
// the file when there is something to write.
func NewFile(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("provider: the folder of the file of messages: %w", err)
	}
	return &File{path: path}, nil
}

// Name implements Provider.
func (p *File) Name() string { return "file" }

// Send implements Provider.
func (p *File) Send(_ context.Context, l Letter) error {
	line, err := json.Marshal(envelopeOf(l))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.makeRoom(); err != nil {
		return err
	}
	f, err := os.OpenFile(p.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// makeRoom puts a full file aside.
func (p *File) makeRoom() error {
	info, err := os.Stat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Size() < mostFile {
		return err
	}
	return os.Rename(p.path, p.path+".old")
}
