package rpc

import (
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/pkg/authz"
)

// The gRPC service config (grpc/grpc-proto service_config.proto), as far as it
// is used here.
type (
	config struct {
		LoadBalancing []map[string]struct{} `json:"loadBalancingConfig"`
		Methods       []methodConfig        `json:"methodConfig,omitempty"`
		Throttling    throttling            `json:"retryThrottling"`
	}
	methodConfig struct {
		Names []methodName `json:"name"`
		Retry retryPolicy  `json:"retryPolicy"`
	}
	methodName struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	retryPolicy struct {
		MaxAttempts       int      `json:"maxAttempts"`
		InitialBackoff    string   `json:"initialBackoff"`
		MaxBackoff        string   `json:"maxBackoff"`
		BackoffMultiplier float64  `json:"backoffMultiplier"`
		Codes             []string `json:"retryableStatusCodes"`
	}
	// throttling stops retries while more than half of the calls fail, so that
	// they do not hold a struggling server down.
	throttling struct {
		MaxTokens  int     `json:"maxTokens"`
		TokenRatio float64 `json:"tokenRatio"`
	}
)

// serviceConfig returns the client's default service config: turns among the
// addresses, and retries of safe calls. The methods are listed one by one
// because gRPC matches no patterns.
func serviceConfig(files *protoregistry.Files) string {
	c := config{
		LoadBalancing: []map[string]struct{}{{"round_robin": {}}},
		Throttling:    throttling{MaxTokens: 100, TokenRatio: 0.1},
	}
	if names := safeMethods(files); len(names) > 0 {
		c.Methods = []methodConfig{{Names: names, Retry: retryPolicy{
			MaxAttempts: 3, InitialBackoff: "0.1s", MaxBackoff: "1s", BackoffMultiplier: 2,
			Codes: []string{"UNAVAILABLE"},
		}}}
	}
	text, _ := json.Marshal(c) // plain structs always encode
	return string(text)
}

// safeMethods returns the unary RPCs that change nothing: by their verb
// (AIP-130) and by their own option.
func safeMethods(files *protoregistry.Files) []methodName {
	var out []methodName
	for m := range authz.Methods(files) {
		rule, err := authz.CompileRule(m)
		if err == nil && !rule.Mutates && !m.IsStreamingClient() && !m.IsStreamingServer() && safeVerb(m.Name()) {
			out = append(out, methodName{Service: string(m.Parent().FullName()), Method: string(m.Name())})
		}
	}
	// Sorted, because the registry yields files in no fixed order.
	slices.SortFunc(out, func(a, b methodName) int {
		return strings.Compare(a.Service+"/"+a.Method, b.Service+"/"+b.Method)
	})
	return out
}

func safeVerb(name protoreflect.Name) bool {
	verbs := []string{"Get", "List", "Check", "BatchGet", "BatchCheck"}
	return slices.ContainsFunc(verbs, func(verb string) bool { return strings.HasPrefix(string(name), verb) })
}
