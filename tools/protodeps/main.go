// Command protodeps writes the third-party .proto files that Guildhall's own
// protos import: google/api, google/rpc, google/type, buf/validate and the OpenAPI options.
//
// It prints them from the descriptors that the generated Go packages carry, so
// the text that buf compiles against is, by construction, what the Go modules
// in go.mod were generated from. That needs no schema registry and no copy of
// other people's files in the repository. The price is that comments are lost,
// because linked descriptors do not keep them.
//
// google/protobuf/*.proto is left out: buf brings those itself.
//
//	protodeps -out .deps/proto
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Linking a generated package is what puts its file into the registry.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3/options"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/code"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/genproto/googleapis/type/date"
	_ "google.golang.org/genproto/googleapis/type/dayofweek"
	_ "google.golang.org/genproto/googleapis/type/money"
	_ "google.golang.org/genproto/googleapis/type/timeofday"
)

// roots are the files that protos of ours may import. What they import in turn
// is written too.
var roots = []string{
	"buf/validate/validate.proto",
	"google/api/annotations.proto",
	"google/api/client.proto",
	"google/api/field_behavior.proto",
	"google/api/field_info.proto",
	"google/api/httpbody.proto",
	"google/api/resource.proto",
	"google/rpc/code.proto",
	"google/rpc/error_details.proto",
	"google/rpc/status.proto",
	"google/type/date.proto",
	"google/type/dayofweek.proto",
	"google/type/money.proto",
	"google/type/timeofday.proto",
	"protoc-gen-openapiv3/options/annotations.proto",
}

// builtin is the folder of the files that buf ships.
const builtin = "google/protobuf/"

func main() {
	out := flag.String("out", "", "`folder` to write to; replaced as a whole")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "protodeps:", err)
		os.Exit(1)
	}
}

// run replaces the folder out by the closure of roots. It removes the folder
// first so that a file which a newer module no longer has does not linger.
func run(out string) error {
	files, err := closure(roots)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	for _, fd := range files {
		if err := write(out, fd); err != nil {
			return fmt.Errorf("%s: %w", fd.Path(), err)
		}
	}
	return nil
}

// closure returns the named files and all that they import, each once, except
// those that buf ships.
func closure(paths []string) ([]protoreflect.FileDescriptor, error) {
	var files []protoreflect.FileDescriptor
	seen := map[string]bool{}
	for queue := append([]string(nil), paths...); len(queue) > 0; queue = queue[1:] {
		path := queue[0]
		if seen[path] || strings.HasPrefix(path, builtin) {
			continue
		}
		seen[path] = true
		fd, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if err != nil {
			return nil, fmt.Errorf("%s is linked by no import of this command: %w", path, err)
		}
		files = append(files, fd)
		for i := range fd.Imports().Len() {
			queue = append(queue, fd.Imports().Get(i).Path())
		}
	}
	return files, nil
}

func write(dir string, fd protoreflect.FileDescriptor) error {
	printer := protoprint.Printer{SortElements: true}
	text, err := printer.PrintProtoToString(fd)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(fd.Path()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
