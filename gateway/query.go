package gateway

import (
	"maps"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
)

// readQuery parses the query, strictly: net/http drops what it cannot parse.
func (q *request) readQuery() error {
	var err error
	if q.query, err = url.ParseQuery(q.http.URL.RawQuery); err != nil {
		return errs.New(errs.Invalid, problem.QueryInvalid, "the query is not well-formed", errs.Cause(err))
	}
	for key, values := range q.query {
		if !utf8.ValidString(key) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return errs.New(errs.Invalid, problem.TextNotUTF8, "the query must be UTF-8")
		}
	}
	return nil
}

// explainQuery finds the query parameter whose value does not fit, by reading
// each alone. When none is at fault, the fault is in the path.
func (q *request) explainQuery(cause error) error {
	if q.binding.body == "*" {
		return errs.New(errs.Invalid, problem.PathInvalid, "the path does not fit the operation", errs.Cause(cause))
	}
	if err := q.checkQuery(q.binding); err != nil {
		return err
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(q.binding.method.Input().FullName())
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(q.query)) {
		if populate(t.New().Interface(), url.Values{key: q.query[key]}) != nil {
			const message = "the value does not fit the parameter, or is there twice"
			return errs.New(errs.Invalid, problem.QueryInvalid, message, errs.Field(key, problem.QueryInvalid, message), errs.Cause(cause))
		}
	}
	return errs.New(errs.Invalid, problem.QueryInvalid, "path and query do not fit the operation", errs.Cause(cause))
}

// populate reads query parameters into a request.
func populate(m proto.Message, query url.Values) error {
	return runtime.PopulateQueryParameters(m, query, &utilities.DoubleArray{})
}
