package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTypeScriptClient generates a client from the OpenAPI document that is
// served, and takes a tour with it. What the document promises and the server
// does not keep does not compile, or fails there.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing: run make deps, or install Node.js 20 or later", program)
		}
	}
	s, administrator, oneTimePassword := fresh(t)
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "gateway", "tsclient", "run.sh"))
	cmd.Env = append(os.Environ(), "GUILDHALL_URL="+s.http, "GUILDHALL_ACCOUNT="+administrator,
		"GUILDHALL_PASSWORD="+oneTimePassword, "GUILDHALL_NEW_PASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the tour failed: %v\n%s", err, out)
	}
}
