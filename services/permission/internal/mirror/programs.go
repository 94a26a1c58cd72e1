package mirror

import (
	"context"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// deniedPrograms adds the service accounts of an organisation that are in a state
// in which they may do nothing. An identity from before there were service
// accounts has none.
func (d Directory) deniedPrograms(ctx context.Context, organization, state string, denied map[string]string, page func() error) error {
	err := all(func(token string) (*identityv1.ListServiceAccountsResponse, error) {
		return d.Programs.ListServiceAccounts(ctx, &identityv1.ListServiceAccountsRequest{
			Parent: organization, Filter: `state = "` + state + `"`, ShowDeleted: true, PageSize: batchSize, PageToken: token,
		})
	}, func(resp *identityv1.ListServiceAccountsResponse) {
		for _, a := range resp.GetServiceAccounts() {
			denied[a.GetName()] = state
		}
	}, page)
	if errs.Is(err, errs.Unimplemented) {
		return nil
	}
	return err
}

// gonePrograms is gone for service accounts. Of an identity from before there
// were any, what people granted to one is left alone.
func (d Directory) gonePrograms(ctx context.Context, names []string, page func() error) ([]string, error) {
	missing, err := d.gone(ctx, names, page)
	if errs.Is(err, errs.Unimplemented) {
		return nil, nil
	}
	return missing, err
}
