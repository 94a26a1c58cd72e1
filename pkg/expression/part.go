package expression

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/parser"
)

// Part is an expression within another: one that "&&", "||" and "!" join.
type Part struct {
	// Text is the part as an expression of its own.
	Text string
	// Depth is in how many others it is.
	Depth int
	// Variables are the fields that it looks at, as in "customer.country",
	// sorted; nil of a part that has smaller ones.
	Variables []string
}

// Parts returns the expression and the parts of it, each before its own. The
// error is that of Program.
func (l *Language) Parts(expression string) ([]Part, error) {
	tree, err := l.Parse(expression)
	if err != nil {
		return nil, err
	}
	return l.parts(nil, tree.Expr(), tree.SourceInfo(), 0)
}

func (l *Language) parts(all []Part, e ast.Expr, info *ast.SourceInfo, depth int) ([]Part, error) {
	text, err := parser.Unparse(e, info, parser.WrapOnColumn(2*MaxLength))
	if err != nil {
		return nil, l.invalid(short(err.Error()))
	}
	part := Part{Text: text, Depth: depth}
	operands := joined(e)
	if operands == nil {
		part.Variables = variables(e)
	}
	all = append(all, part)
	for _, o := range operands {
		if all, err = l.parts(all, o, info, depth+1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// joined returns the parts that a logical operator joins. A chain of one
// operator is one: its parts lie side by side.
func joined(e ast.Expr) (parts []ast.Expr) {
	if e.Kind() != ast.CallKind {
		return nil
	}
	function := e.AsCall().FunctionName()
	if function == operators.LogicalNot {
		return e.AsCall().Args()
	}
	if function != operators.LogicalAnd && function != operators.LogicalOr {
		return nil
	}
	for _, arg := range e.AsCall().Args() {
		if arg.Kind() == ast.CallKind && arg.AsCall().FunctionName() == function {
			parts = append(parts, joined(arg)...)
		} else {
			parts = append(parts, arg)
		}
	}
	return parts
}

// variables returns the longest paths of names in an expression.
func variables(e ast.Expr) []string {
	var paths []string
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if path := pathOf(e); strings.Contains(path, ".") {
			paths = append(paths, path)
		}
	}))
	slices.Sort(paths)
	paths = slices.Compact(paths)
	return slices.DeleteFunc(paths, func(path string) bool {
		return slices.ContainsFunc(paths, func(longer string) bool { return strings.HasPrefix(longer, path+".") })
	})
}

// pathOf returns "a.b" of a select of b in a, and "" of what is no path.
func pathOf(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		if below := pathOf(e.AsSelect().Operand()); below != "" {
			return below + "." + e.AsSelect().FieldName()
		}
	}
	return ""
}
