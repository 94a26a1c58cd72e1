package api

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/services/identity/internal/revise"
)

// GetSetting returns the one of an organisation that has the name, of a pattern. The
// error is NotFound (ORGANIZATION_NOT_FOUND), or says that the name is none.
func GetSetting[T revise.Singleton](ctx context.Context, c *Centres, of *revise.Setting[T], pattern resource.Pattern, name string) (none T, _ error) {
	if err := pattern.Check("name", name); err != nil {
		return none, err
	}
	return Read(ctx, c, func(r kv.Reader) (T, error) {
		organization := revise.ParentOf(name)
		if _, err := c.Organizations.Get(r, organization); err != nil {
			return none, err
		}
		return of.Of(r, organization)
	})
}

// UpdateSetting changes the masked fields of the one that has the name of asked, which
// is the field of a request. Errors are those of GetSetting and of revise.Setting.
func UpdateSetting[T revise.Singleton](ctx context.Context, c *Centres, of *revise.Setting[T], pattern resource.Pattern, field string, asked T, req revision) (none T, _ error) {
	if err := pattern.Check(field+".name", asked.GetName()); err != nil {
		return none, err
	}
	return change.Do(ctx, c.Journal, req, func(tx *change.Tx) (T, error) {
		if _, err := c.Organizations.Get(tx, revise.ParentOf(asked.GetName())); err != nil {
			return none, err
		}
		return of.Update(tx, asked, req.GetUpdateMask())
	})
}

// revision is an Update request.
type revision interface {
	proto.Message
	GetUpdateMask() *fieldmaskpb.FieldMask
}
