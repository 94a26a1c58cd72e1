package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shellBlock matches a fenced block of shell.
var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// tourOf returns the shell blocks of a README's tour.
func tourOf(t *testing.T, path string) []string {
	t.Helper()
	_, after, begins := strings.Cut(mustRead(t, path), "<!-- tour -->")
	section, _, ends := strings.Cut(after, "<!-- /tour -->")
	if !begins || !ends {
		t.Fatalf("%s has no tour", path)
	}
	var blocks []string
	for _, found := range shellBlock.FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

func TestReadme_bothLanguagesHaveOneTour(t *testing.T) {
	en, zh := tourOf(t, "README.md"), tourOf(t, "README.zh-CN.md")
	if strings.Join(en, "\n") != strings.Join(zh, "\n") {
		t.Error("the commands of README.md and README.zh-CN.md differ")
	}
	if len(en) < 8 {
		t.Errorf("the tour has only %d blocks", len(en))
	}
}

// TestReadme_tourWorks runs the tour as a newcomer does: on a fresh server, in
// bash, from the folder of the repository.
func TestReadme_tourWorks(t *testing.T) {
	t.Parallel()
	s, administrator, oneTimePassword := fresh(t)
	wants(t, "the administrator", administrator, "organizations/guildhall/staff/admin")
	out, err := os.Create(filepath.Join(s.folder, "tour.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(tourOf(t, "README.md"), "\n"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, out
	cmd.Env = append(os.Environ(), "API="+s.http, "ONE_TIME="+oneTimePassword)
	if err := cmd.Run(); err != nil {
		t.Errorf("bash and curl are needed: %v", err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, want := range []string{
		`"account":"organizations/guildhall/staff/admin"`,
		`"displayName":"Acme"`,
		`"displayName":"林晓"`,
		`{"line":"4","result":"RESULT_FAILED","reason":"EXTERNAL_ID_MISSING"`,
		`"externalId":"12431"`,
		`"reason":"PERMISSION_DENIED"`, "(refused)",
		`"name":"organizations/acme/groups/orders"`,
		`"role":"MEMBER_ROLE_ADMIN"`,
		`"text":"您好！ How can I help?"`,
		`"recaller":"organizations/acme/staff/lin"`,
		`"score":1,"scoreLow":0.2`,
		`"state":"STATE_CLOSED"`,
		`"auditEntries":[{`,
		`{"intact":true,`,
	} {
		at := strings.Index(string(text)[last:], want)
		if at < 0 {
			t.Fatalf("the tour does not print, after what it printed before: %s\n%s", want, text)
		}
		last += at
	}
	if n := strings.Count(string(text), `{"message":{"name":"organizations/acme/groups/orders/messages/`); n != 2 {
		t.Errorf("the second client got %d messages live, want 2:\n%s", n, text)
	}
}
