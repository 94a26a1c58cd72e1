package subjects

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/rights"
)

// DownloadSubjectData streams what a request has brought together. A page is read at
// a time: a slow client holds no snapshot of the store.
func (s requests) DownloadSubjectData(req *identityv1.DownloadSubjectDataRequest, stream grpc.ServerStreamingServer[identityv1.DownloadSubjectDataResponse]) error {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return err
	}
	ctx := stream.Context()
	var t *storev1.Takeout
	if err := s.Store.View(ctx, func(r kv.Reader) error {
		q, err := s.Rights.Get(r, req.GetName())
		if err != nil {
			return err
		}
		if err := rights.CheckReady(q, s.Clock()); err != nil {
			return err
		}
		t, err = s.Takeouts.Get(r, req.GetName(), s.Clock())
		if err == nil && (!t.GetReady() || !s.Clock().Before(t.GetExpireTime().AsTime())) {
			err = rights.Expired() // it was erased since, or there is a newer one
		}
		return err
	}); err != nil {
		return err
	}
	for number := range t.GetPages() {
		page, err := s.takeoutPage(ctx, t, number)
		if err != nil {
			return err
		}
		for _, rec := range page.GetRecords() {
			record := &structpb.Struct{}
			if err := protojson.Unmarshal([]byte(rec.GetJson()), record); err != nil {
				return fmt.Errorf("a record of %s: %w", page.GetService(), err)
			}
			if err := stream.Send(&identityv1.DownloadSubjectDataResponse{Service: page.GetService(), Kind: rec.GetKind(), Record: record}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s requests) takeoutPage(ctx context.Context, t *storev1.Takeout, number int64) (page *storev1.TakeoutPage, err error) {
	err = s.Store.View(ctx, func(r kv.Reader) error {
		found := false
		page, found, err = s.Takeouts.Page(r, t, number)
		if err == nil && !found {
			err = rights.Expired() // meanwhile
		}
		return err
	})
	return page, err
}
