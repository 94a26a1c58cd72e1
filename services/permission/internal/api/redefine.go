package api

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
)

// redefine makes a change of what roles mean, which are those named. Where one
// of them is denied to somebody, the change denies them something or gives it
// back, so the caller has to administer the organisation
// (TARGET_EXCEEDS_CALLER), and it is refused when it leaves nobody to fill a
// post (LAST_ADMINISTRATOR, LAST_OPERATOR). Else whoever may write roles could
// lock out everybody without making a single grant.
func (cfg Config) redefine(tx *change.Tx, by authn.Caller, organization string, roles []string, apply func() error) error {
	denied, err := cfg.Grants.DeniesAny(tx, organization, roles)
	if err != nil {
		return err
	}
	if !denied {
		return apply()
	}
	administers, err := cfg.Rules.Administers(cfg.Loader.Snapshot(tx), organization, by.Name, tx.Time, 0)
	if err != nil {
		return err
	}
	if !administers && by.Kind() != authn.System {
		return errs.New(errs.Denied, reasonTarget, "only who administers the organisation can change a role that is denied to somebody")
	}
	filled, err := cfg.Grants.Filled(tx, tx.Time, organization)
	if err != nil {
		return err
	}
	if err := apply(); err != nil {
		return err
	}
	return cfg.Grants.StillFilled(tx, tx.Time, organization, filled)
}
