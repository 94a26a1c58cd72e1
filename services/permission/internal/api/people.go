package api

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
)

// MayGive is the rule of CreateGrant for those who give by other ways: it
// returns Denied (GRANT_EXCEEDS_CALLER) unless the caller holds each of the
// permissions on the resource until the Unix second given; 0 is for good.
func (cfg Config) MayGive(tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error {
	return cfg.mayGive(tx, by, resource, permissions, expires)
}
