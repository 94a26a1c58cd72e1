package promise_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
	"time"

	"guildhall.dev/services/all/promise"
)

// mutant is the service without one of the checks that the promise rests on.
type mutant struct {
	name string
	// file is below services/permission; receiver and function name what has
	// the body instead of its own.
	file, receiver, function, body string
	// strike shows the lack, again and again.
	strike func(ctx context.Context, c *cluster)
}

func mutants() []mutant {
	return []mutant{{
		name: "a replica without a lease answers from memory",
		file: "internal/lease/term.go", receiver: "term", function: "runs", body: "{ return t != nil }",
		strike: loseDatabase,
	}, {
		name: "a change does not wait for other replicas",
		file: "internal/lease/settle.go", receiver: "wait", function: "settled", body: "{ return true }",
		strike: func(ctx context.Context, c *cluster) {
			for _, r := range c.replicas {
				r.redis.refuse(true) // nobody hears of it before the next renewal
			}
			pause(ctx, leaseLength)
		},
	}, {
		name: "an entry is taken whatever the revision that it was read at",
		file: "internal/cache/journal.go", receiver: "journal", function: "judge", body: "{ return good }",
		strike: oldValues,
	}, {
		name: "what a change has touched is not remembered",
		file: "internal/cache/journal.go", receiver: "journal", function: "touchedSince", body: "{ return false }",
		strike: oldValues,
	}}
}

// loseDatabase cuts a replica off from PostgreSQL for longer than its lease.
func loseDatabase(ctx context.Context, c *cluster) {
	r := c.any()
	// A change that fails at the replica itself would make it doubt its memory,
	// and hide the lack.
	c.unwritten.Store(r)
	pause(ctx, leaseLength)
	r.loseDatabase(ctx, 3*leaseLength)
	pause(ctx, leaseLength/2)
}

// oldValues starts a replica, which has nothing in memory, on a Redis that
// returns what it held some time ago.
func oldValues(ctx context.Context, c *cluster) {
	held := c.remember(ctx)
	pause(ctx, leaseLength)
	r := c.any()
	r.process.Kill()
	c.restore(ctx, held)
	if ctx.Err() == nil {
		r.start()
	}
	pause(ctx, leaseLength)
}

// runs is how many runs may miss what a mutant lacks: it takes a change and a
// check at the right moment, which a busy machine may not bring about.
const runs = 3

// The checker finds each of the checks missing: else the run without a
// violation would say nothing.
func TestPromise_isBrokenWithoutAnyOfItsChecks(t *testing.T) {
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			binary := build(t, "-overlay="+m.overlay(t))
			for range runs {
				violations, summary := m.run(t, binary)
				t.Log(summary)
				if len(violations) > 0 {
					t.Logf("the worst: %s", violations[0])
					return
				}
			}
			t.Error("nobody has noticed")
		})
	}
}

// run drives the mutant until somebody notices, for a while.
func (m mutant) run(t *testing.T, binary string) ([]promise.Violation, string) {
	c := startCluster(t, binary, mutated)
	w := newWorkload(c, 3)
	if err := w.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, 8)
	}()
	for ctx.Err() == nil && len(promise.Verify(w.history.Operations())) == 0 {
		m.strike(ctx, c)
	}
	cancel()
	<-done
	return w.report()
}

// overlay returns the path of what tells go build of the mutated file.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	path := source(t, "permission", m.file)
	text, err := m.mutate(path)
	if err != nil {
		t.Fatal(err)
	}
	return overlay(t, map[string][]byte{path: text})
}

// source returns the path of a source file below the folder that has the
// services.
func source(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", ".."}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// overlay writes what stands for files, by path, and returns the path of what
// tells go build of it (go help build, -overlay). A file need not exist.
func overlay(t *testing.T, files map[string][]byte) string {
	t.Helper()
	folder, replace := t.TempDir(), make(map[string]string)
	for path, text := range files {
		replace[path] = filepath.Join(folder, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(path, table, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mutate returns the file with another body of the function.
func (m mutant) mutate(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != m.function || receiverOf(f) != m.receiver {
			continue
		}
		from, to := files.Position(f.Body.Pos()).Offset, files.Position(f.Body.End()).Offset
		return append(append(append([]byte(nil), text[:from]...), m.body...), text[to:]...), nil
	}
	return nil, fmt.Errorf("%s has no %s of %s: name the check's present place", path, m.function, m.receiver)
}

func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) != 1 {
		return ""
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}
