package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/problem"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// orderImport is what the last import of orders sent.
type orderImport struct {
	options *identityv1.ImportOrdersOptions
	file    string
}

type orderHandlers struct {
	identityv1.UnimplementedOrderServiceServer
	s *suite
}

// ImportOrders notes the options and the file, and answers one line.
func (h orderHandlers) ImportOrders(stream grpc.BidiStreamingServer[identityv1.ImportOrdersRequest, identityv1.ImportOrdersResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return stream.Send(&identityv1.ImportOrdersResponse{Line: 2, Result: identityv1.ImportOrdersResponse_RESULT_CREATED})
		}
		if o := r.GetOptions(); o != nil {
			h.s.orders.options = o
		}
		h.s.orders.file += string(r.GetData())
	}
}

func TestImportOrders_optionsAreTheQuery(t *testing.T) {
	s := newSuite(t)
	resp := s.importInto("orders", "?source=shop&currency=GBP&timeLayout=yyyy-MM-dd+HH:mm:ss&time_zone=Europe/London&columns=CustomerID:customerExternalId&dryRun=true",
		strings.NewReader("a,b\n1,2\n"))
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != `{"line":"2","result":"RESULT_CREATED"}`+"\n" {
		t.Fatalf("answered %d %s, %v", resp.StatusCode, body, err)
	}
	want := &identityv1.ImportOrdersOptions{
		Parent: "organizations/acme", Source: "shop", Currency: "GBP", TimeLayout: "yyyy-MM-dd HH:mm:ss", TimeZone: "Europe/London",
		Columns: map[string]string{"CustomerID": "customer_external_id"}, DryRun: true,
	}
	if !proto.Equal(s.orders.options, want) || s.orders.file != "a,b\n1,2\n" {
		t.Errorf("got %v and %q, want %v", s.orders.options, s.orders.file, want)
	}
	for query, reason := range map[string]string{"?source=a&source=b": problem.QueryInvalid, "?shop=a": problem.QueryParameterUnknown} {
		resp := s.importInto("orders", query, strings.NewReader("a\n"))
		body, _ := io.ReadAll(resp.Body)
		if p := lastProblem(t, resp, body); p.Reason != reason {
			t.Errorf("%s: %+v", query, p)
		}
	}
}
