package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// supervise runs one server under a shell that outlives us by a moment: when
// its standard input ends, because we closed it or because we died in whatever
// way, it ends the server and removes the folder. A signal on our death
// (Pdeathsig) would not do: it is tied to a thread, and removes nothing.
//
// $1 is the folder, $2 the signal that ends the server, the rest its command.
const supervise = `
dir=$1; signal=$2; shift 2
"$@" >"$dir/log" 2>&1 &
pid=$!
echo $pid
exec >/dev/null
cat
kill -CONT $pid; kill -$signal $pid
wait $pid
rm -rf "$dir"
`

// server is a process under its supervisor.
type server struct {
	folder  string
	pid     int
	process *exec.Cmd
	input   io.Closer
}

// startServer starts command with folder as its own, under another user when
// we are root.
func startServer(folder, signal string, command ...string) (*server, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", folder, signal}, command...)...)
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential()} // a Ctrl-C is ours alone
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{folder: folder, process: cmd, input: input}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err == nil {
		s.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", command[0], err), s.stop())
	}
	return s, nil
}

// stop ends the server, waits, and leaves nothing behind.
func (s *server) stop() error {
	return errors.Join(s.input.Close(), s.process.Wait())
}

func (s *server) signal(sig syscall.Signal) error { return syscall.Kill(s.pid, sig) }

// ended reports whether the server has died by itself.
func (s *server) ended() bool { return s.signal(0) != nil }

// log returns what the server wrote, for the message of a failure.
func (s *server) log() string {
	b, err := os.ReadFile(filepath.Join(s.folder, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// credential returns the user servers run as when we are root: PostgreSQL
// refuses to be root.
func credential() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

// newFolder makes a folder that belongs to the server's user. It lies in the
// system's temporary folder: that of a test is closed to other users.
func newFolder() (string, error) {
	folder, err := os.MkdirTemp("", "guildhall-test-")
	if err != nil {
		return "", err
	}
	if c := credential(); c != nil {
		if err := os.Chown(folder, int(c.Uid), int(c.Gid)); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// findBinary returns the path of a server's program.
func findBinary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	places, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", err
	}
	places = append([]string{"/usr/sbin/" + name, "/usr/local/bin/" + name}, places...)
	for i := len(places) - 1; i >= 0; i-- { // the newest PostgreSQL first
		if path, err := exec.LookPath(places[i]); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run `make deps`", name)
}

// freePort returns a port that nobody listened on a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
