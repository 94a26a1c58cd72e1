package condition

import (
	"net/netip"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Variables. They are declared one by one and not as messages, so that one
// that is not there is a failure and not an empty value.
const (
	requestTime          = "request.time"
	requestAddress       = "request.address"
	requestMessageType   = "request.message_type"
	requestCustomerLevel = "request.customer_level"
	subjectName          = "subject.name"
	subjectProperties    = "subject.properties"
	resourceName         = "resource.name"
	resourceProperties   = "resource.properties"
	actionName           = "action.name"
	actionProperties     = "action.properties"
	contextVariable      = "context"
)

func options() []cel.EnvOption {
	properties := cel.MapType(cel.StringType, cel.DynType)
	return []cel.EnvOption{
		cel.Variable(requestTime, cel.TimestampType),
		cel.Variable(requestAddress, cel.StringType),
		cel.Variable(requestMessageType, cel.StringType),
		cel.Variable(requestCustomerLevel, cel.StringType),
		cel.Variable(subjectName, cel.StringType),
		cel.Variable(subjectProperties, properties),
		cel.Variable(resourceName, cel.StringType),
		cel.Variable(resourceProperties, properties),
		cel.Variable(actionName, cel.StringType),
		cel.Variable(actionProperties, properties),
		cel.Variable(contextVariable, properties),
		cel.Function("inNetwork", cel.Overload("in_network_string_string",
			[]*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(inNetwork))),
		cel.ASTValidators(networkLiterals{}),
	}
}

// inNetwork reports whether an address is in a network, each IPv4 or IPv6, as
// in inNetwork("10.1.2.3", "10.0.0.0/8"). An IPv4 address in the form of IPv6
// is the IPv4 address. What is no address or no network is an error.
func inNetwork(address, network ref.Val) ref.Val {
	a, ok := address.Value().(string)
	n, okNetwork := network.Value().(string)
	if !ok || !okNetwork {
		return types.NewErr("inNetwork needs two strings")
	}
	ip, err := netip.ParseAddr(a)
	if err != nil {
		return types.NewErr("inNetwork: not an address")
	}
	prefix, err := netip.ParsePrefix(n)
	if err != nil {
		return types.NewErr("inNetwork: not a network")
	}
	return types.Bool(prefix.Contains(ip.Unmap().WithZone("")))
}

// networkLiterals finds networks that are none, when the expression is written.
type networkLiterals struct{}

// Name implements cel.ASTValidator.
func (networkLiterals) Name() string { return "guildhall.network_literals" }

// Validate implements cel.ASTValidator.
func (networkLiterals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for _, call := range ast.MatchDescendants(ast.NavigateAST(a), ast.FunctionMatcher("inNetwork")) {
		args := call.AsCall().Args()
		if len(args) != 2 || args[1].Kind() != ast.LiteralKind {
			continue
		}
		text, ok := args[1].AsLiteral().Value().(string)
		if !ok {
			continue
		}
		if _, err := netip.ParsePrefix(text); err != nil {
			issues.ReportErrorAtID(args[1].ID(), "not a network; write one as in \"10.0.0.0/8\"")
		}
	}
}
