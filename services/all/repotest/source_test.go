package repotest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 60
	maxTestLines     = 100
	// longMark begins the comment that says why something is longer.
	longMark = "// long:"
)

func isGo(path string) bool { return strings.HasSuffix(path, ".go") }

func isGenerated(path string) bool { return under("proto/gen")(path) }

func TestSource_isOfReadableLength(t *testing.T) {
	dir := root(t)
	for _, path := range files(t, func(path string) bool { return isGo(path) && !isGenerated(path) }) {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		lines := bytes.Count(text, []byte("\n"))
		if lines > maxFileLines && !marked(file, file.FileStart, firstDecl(file)) {
			t.Errorf("%s has %d lines: split it, or say why before the first declaration: %s …", path, lines, longMark)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := fset.Position(f.End()).Line - fset.Position(f.Type.Pos()).Line + 1
			start := f.Pos()
			if f.Doc != nil {
				start = f.Doc.Pos()
			}
			if lines > longest(path) && !marked(file, start, f.End()) {
				t.Errorf("%s: %s has %d lines: split it, or say why in it: %s …", path, f.Name.Name, lines, longMark)
			}
		}
	}
}

// longest is the most lines of a function in the file. A test may hold a table
// of cases, which is read line by line and not as a whole.
func longest(path string) int {
	if strings.HasSuffix(path, "_test.go") {
		return maxTestLines
	}
	return maxFunctionLines
}

// firstDecl returns where the first declaration after the imports begins.
func firstDecl(file *ast.File) token.Pos {
	for _, decl := range file.Decls {
		if gen, ok := decl.(*ast.GenDecl); !ok || gen.Tok != token.IMPORT {
			return decl.End()
		}
	}
	return file.FileEnd
}

// marked reports whether a comment with longMark and a reason is in the range.
func marked(file *ast.File, from, to token.Pos) bool {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if from <= c.Pos() && c.Pos() < to && strings.HasPrefix(c.Text, longMark) && len(c.Text) > len(longMark)+10 {
				return true
			}
		}
	}
	return false
}

// generatedLine is what `go help generate` says generated files begin with.
var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestSource_generatedIsWhereGeneratedCodeLives(t *testing.T) {
	dir := root(t)
	for _, path := range files(t, isGo) {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		switch says := generatedLine.Match(text); {
		case says && !isGenerated(path):
			t.Errorf("%s says it is generated, but generated code is in proto/gen", path)
		case !says && isGenerated(path):
			t.Errorf("%s is written by hand, but `make generate` empties proto/gen", path)
		}
	}
}

// machinePath matches an absolute path of somebody's machine. The character
// classes keep the expression from matching itself.
var machinePath = regexp.MustCompile("(^|[\\s\"'`(=:])/(wor[k]|roo[t]|hom[e]/\\w+|User[s]/\\w+)(/|[\\s\"'`)]|$)")

func TestSource_namesNoMachine(t *testing.T) {
	dir := root(t)
	for _, path := range files(t, func(string) bool { return true }) {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := machinePath.FindString(line); found != "" {
				t.Errorf("%s:%d names a path of one machine: %s", path, i+1, strings.TrimSpace(found))
			}
		}
	}
}

// todo matches a TODO; a good one says in parentheses what it waits for.
var todo = regexp.MustCompile(`//\s*TOD[O](\([^)]{3,}\))?`)

func TestSource_todosSayWhatTheyWaitFor(t *testing.T) {
	dir := root(t)
	for _, path := range files(t, func(path string) bool { return isGo(path) && !isGenerated(path) }) {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := todo.FindStringSubmatch(line); found != nil && found[1] == "" {
				t.Errorf("%s:%d: a TODO says what it waits for, in parentheses", path, i+1)
			}
		}
	}
}
