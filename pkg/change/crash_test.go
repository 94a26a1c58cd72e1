package change_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/kv/kvopen"
)

// A test binary that finds these makes a change, says so, and answers with
// the name of the group, or waits to be killed instead.
const (
	childStore = "GUILDHALL_CHANGE_TEST_STORE"
	childID    = "GUILDHALL_CHANGE_TEST_ID"
	childHangs = "GUILDHALL_CHANGE_TEST_HANGS"
)

func TestMain(m *testing.M) {
	if os.Getenv(childStore) == "" {
		os.Exit(m.Run())
	}
	if err := makeChange(os.Getenv(childStore), os.Getenv(childID), os.Getenv(childHangs) != ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func makeChange(store, id string, hang bool) error {
	ctx := context.Background()
	s, err := kvopen.Open(ctx, store, storeOptions())
	if err != nil {
		return err
	}
	svc, err := newService(ctx, s)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	g, err := svc.createGroup(asAlice(ctx), create(id, "Orders"))
	if err != nil {
		return err
	}
	fmt.Println("committed")
	if hang {
		select {}
	}
	fmt.Println(g.GetName())
	return s.Close()
}

// child is a process that makes a change.
type child struct {
	*exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, url, id string, env ...string) child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(append(os.Environ(), childStore+"="+url, childID+"="+id), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return child{cmd, bufio.NewScanner(out)}
}

func (c child) expect(t *testing.T, want string) {
	t.Helper()
	if !c.lines.Scan() || c.lines.Text() != want {
		t.Fatalf("the child said %q, want %q", c.lines.Text(), want)
	}
}

func (c child) kill(t *testing.T) {
	t.Helper()
	if err := c.Process.Kill(); err != nil && !strings.Contains(err.Error(), "already finished") {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed, or has ended just before
}

// answer waits for the child's answer and its end.
func (c child) answer(t *testing.T) string {
	t.Helper()
	c.expect(t, "ready")
	c.expect(t, "committed")
	if !c.lines.Scan() {
		t.Fatal("the child gave no answer")
	}
	name := c.lines.Text()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDo_killedBetweenCommitAndAnswerTheRetryGetsTheAnswer(t *testing.T) {
	eachStoreURL(t, func(t *testing.T, url string) {
		lost := startChild(t, url, "r1", childHangs+"=1")
		lost.expect(t, "ready")
		lost.expect(t, "committed")
		lost.kill(t)
		name := startChild(t, url, "r1").answer(t)
		checkStored(t, url, []string{name})
	})
}

func TestDo_killedAtAnyTimeARetryTakesEffectOnce(t *testing.T) {
	eachStoreURL(t, func(t *testing.T, url string) {
		var names []string
		for i := range 5 {
			id := fmt.Sprintf("r%d", i)
			// A change takes some milliseconds; each try is killed a little
			// later in it.
			for delay := range 3 {
				c := startChild(t, url, id, childHangs+"=1")
				c.expect(t, "ready")
				<-time.After(time.Duration(i*3+delay) * 400 * time.Microsecond)
				c.kill(t)
			}
			names = append(names, startChild(t, url, id).answer(t))
		}
		checkStored(t, url, names)
	})
}

// checkStored checks that the groups of the names are all there are, each with
// its event and entry.
func checkStored(t *testing.T, url string, names []string) {
	t.Helper()
	s, err := kvopen.Open(t.Context(), url, storeOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	svc := serviceOn(t, s)
	svc.checkTrace(t, len(names))
	have := make(map[string]bool)
	for _, g := range svc.allGroups(t) {
		have[g.GetName()] = true
	}
	for _, name := range names {
		if !have[name] {
			t.Errorf("a client was told of %s, which is not there", name)
		}
	}
}
