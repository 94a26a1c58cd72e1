package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs are the folders of the programs' main packages, after which their
// binaries are named.
var programs = []string{
	"./services/all/cmd/guildhall",
	"./services/identity/cmd/identity",
	"./services/permission/cmd/permission",
	"./services/groupchat/cmd/groupchat",
	"./services/feedback/cmd/feedback",
	"./gateway/cmd/gateway",
}

// root is the folder of the repository, binaries that of the built programs. It
// is kept, because what has not changed is then not linked again.
var root, binaries string

// parallel is how many tests run at once. They wait for other processes and for
// time most of the while, so it is more than the processors there are.
const parallel = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// build builds all programs, with the race detector.
func build() (err error) {
	if root, err = filepath.Abs("../../.."); err != nil {
		return err
	}
	binaries = filepath.Join(root, ".bin", "e2e")
	var out bytes.Buffer
	cmd := exec.Command("go", append([]string{"build", "-race", "-o", binaries + "/"}, programs...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out.String())
	}
	return nil
}
