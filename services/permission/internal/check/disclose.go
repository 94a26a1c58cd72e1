package check

import (
	"context"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/datamask"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	"guildhall.dev/services/permission/internal/decide"
)

// Sights returns how the subject of the question sees each class of data on
// each resource, those of the first resource first, all on one state of the
// organisation that is no older than the call. The question's permission and
// resource are not looked at. The error is as of Answer.
//
// It is no check: it counts as none, and is in no log of decisions. That a
// grant lets see more is a use of the grant.
func (c *Checker) Sights(ctx context.Context, organization string, q decide.Question, classes, resources []string) ([]decide.Sight, error) {
	now := c.cfg.Clock()
	sights := make([]decide.Sight, 0, len(classes)*len(resources))
	_, err := c.cfg.Cache.View(ctx, organization, func(facts decide.Facts) error {
		sights = sights[:0]
		for _, q.Resource = range resources {
			for _, class := range classes {
				s, err := c.cfg.Rules.Sight(facts, organization, q, class, now)
				if err != nil {
					return err
				}
				sights = append(sights, s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, s := range sights {
		if c.cfg.Usage != nil && s.Grant != "" {
			c.cfg.Usage.Note(s.Grant, now)
		}
	}
	return sights, nil
}

// Disclose implements authz.Discloser, for the interceptors of this process.
func (c *Checker) Disclose(ctx context.Context, d authz.Disclosure) ([]datamask.Sight, error) {
	q := decide.Question{Subject: d.Caller.Name, Session: d.Caller.Session, Attributes: d.Known(ctx)}
	sights, err := c.Sights(ctx, d.Caller.Organization(), q, d.Classes, d.Resources)
	if err != nil {
		return nil, unknowable(ctx, err)
	}
	shown := make([]datamask.Sight, len(sights))
	for i, s := range sights {
		shown[i] = Shown(s)
	}
	return shown, nil
}

// Shown returns a sight as those see it who mask by it: with the key of a mask
// that needs one, and no other.
func Shown(s decide.Sight) datamask.Sight {
	mask := s.Policy.GetPolicy().GetMask()
	shown := datamask.Sight{Visibility: s.Visibility, Mask: mask}
	if mask == optionsv1.Mask_MASK_HASH {
		shown.Key = s.Policy.GetHashKey()
	}
	return shown
}
