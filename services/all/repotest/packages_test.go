package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPackages_haveADoc(t *testing.T) {
	for _, p := range packages(t) {
		switch {
		case p.Doc != "":
		case len(p.GoFiles) == 0 && len(p.XTestGoFiles)+len(p.TestGoFiles) > 0 && testDoc(t, p):
		default:
			t.Errorf("%s has no package doc: say what it is, then why it exists", p.ImportPath)
		}
	}
}

// testDoc reports whether one of the test files of a package without other files
// documents it: go list looks at other files only.
func testDoc(t *testing.T, p goPackage) bool {
	t.Helper()
	for _, name := range append(slices.Clone(p.TestGoFiles), p.XTestGoFiles...) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if file.Doc != nil {
			return true
		}
	}
	return false
}

// importRule forbids imports. Both functions get paths from the root of the
// repository where they are its own, and import paths otherwise.
type importRule struct {
	why       string
	importer  func(path string) bool
	forbidden func(imported string) bool
}

var importRules = []importRule{{
	why:      "services talk through proto; only services/all puts them together",
	importer: func(path string) bool { return serviceOf(path) != "" && serviceOf(path) != "all" },
	// The service's own packages are let through by the caller.
	forbidden: under("services", "gateway"),
}, {
	why:       "the gateway knows services by their protos only",
	importer:  under("gateway"),
	forbidden: under("services"),
}, {
	why:       "pkg knows no service",
	importer:  under("pkg"),
	forbidden: under("services", "gateway"),
}, {
	why:       "proto is what clients import, it must bring nothing of ours along",
	importer:  under("proto"),
	forbidden: under("pkg", "services", "gateway"),
}, {
	why:       "storage engines live behind pkg/kv",
	importer:  func(path string) bool { return !under("pkg/kv", "pkg/testkit")(path) },
	forbidden: under("database/sql", "github.com/jackc", "github.com/lib/pq", "go.etcd.io/bbolt"),
}, {
	why:       "a centre holds rules and tables; RPC is the business of internal/api",
	importer:  isCentre,
	forbidden: under("google.golang.org/grpc", "github.com/grpc-ecosystem"),
}, {
	why:       "kinds of pkg/errs become gRPC codes in pkg/rpc, HTTP statuses in the gateway, nowhere else",
	importer:  func(path string) bool { return !under("pkg/rpc", "gateway")(path) },
	forbidden: under("google.golang.org/grpc/codes", "google.golang.org/grpc/status"),
}, {
	why:       "pkg/errs is the standard library only, so that anything may import it",
	importer:  under("pkg/errs"),
	forbidden: func(imported string) bool { return strings.Contains(imported, ".") },
}}

func TestPackages_importNothingForbidden(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, prefix)
		for _, imported := range p.Imports {
			imported = strings.TrimPrefix(imported, prefix)
			if serviceOf(path) != "" && serviceOf(path) == serviceOf(imported) {
				continue
			}
			for _, rule := range importRules {
				if rule.importer(path) && rule.forbidden(imported) {
					t.Errorf("%s imports %s: %s", path, imported, rule.why)
				}
			}
		}
	}
}

// under returns whether a path is one of the folders or inside one.
func under(folders ...string) func(path string) bool {
	return func(path string) bool {
		for _, folder := range folders {
			if path == folder || strings.HasPrefix(path, folder+"/") {
				return true
			}
		}
		return false
	}
}

// serviceOf returns the service whose module holds the package, or "".
func serviceOf(path string) string {
	rest, ok := strings.CutPrefix(path, "services/")
	if !ok {
		return ""
	}
	service, _, _ := strings.Cut(rest, "/")
	return service
}

// isCentre reports whether a package is one of a service's centres: any below
// its internal folder but those that speak gRPC on purpose. The centres of
// permission's people's side have a room, and handlers, of their own.
func isCentre(path string) bool {
	service := serviceOf(path)
	inner, ok := strings.CutPrefix(path, "services/"+service+"/internal/")
	if service == "all" || !ok {
		return false
	}
	room, _, _ := strings.Cut(inner, "/")
	return room != "api"
}

// TestPackages_leaveTheProcessAlone finds the calls that take a process down or
// run before main. Only the process kit and commands may exit.
func TestPackages_leaveTheProcessAlone(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, prefix)
		// kvtest is a test that other packages import: it panics in a closure to
		// see that the store survives.
		if path == "pkg/serve" || path == "pkg/kv/kvtest" {
			continue
		}
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			fset := token.NewFileSet()
			parsed, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if what := violent(n); what != "" {
					t.Errorf("%s/%s:%d: %s: return an error to serve.Main instead", path, name, fset.Position(n.Pos()).Line, what)
				}
				return true
			})
		}
	}
}

// violent names what a node does to the process, or returns "".
func violent(n ast.Node) string {
	switch n := n.(type) {
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			return "an init function"
		}
	case *ast.CallExpr:
		switch fun := n.Fun.(type) {
		case *ast.Ident:
			if fun.Name == "panic" {
				return "a panic"
			}
		case *ast.SelectorExpr:
			pkg, ok := fun.X.(*ast.Ident)
			exits := ok && (pkg.Name == "os" && fun.Sel.Name == "Exit" ||
				pkg.Name == "log" && (strings.HasPrefix(fun.Sel.Name, "Fatal") || strings.HasPrefix(fun.Sel.Name, "Panic")))
			if exits {
				return pkg.Name + "." + fun.Sel.Name
			}
		}
	}
	return ""
}
