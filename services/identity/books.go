package identity

import (
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/identity/internal/absence"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/app"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/bootstrap"
	"guildhall.dev/services/identity/internal/chronicle"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/consent"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/desk"
	"guildhall.dev/services/identity/internal/dismissal"
	"guildhall.dev/services/identity/internal/duplicate"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/handover"
	"guildhall.dev/services/identity/internal/hold"
	"guildhall.dev/services/identity/internal/intake"
	"guildhall.dev/services/identity/internal/interaction"
	"guildhall.dev/services/identity/internal/keyring"
	"guildhall.dev/services/identity/internal/merge"
	"guildhall.dev/services/identity/internal/order"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/passkey"
	"guildhall.dev/services/identity/internal/preference"
	"guildhall.dev/services/identity/internal/rights"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/stage"
	"guildhall.dev/services/identity/internal/standing"
	"guildhall.dev/services/identity/internal/tag"
	"guildhall.dev/services/identity/internal/takeout"
	"guildhall.dev/services/identity/internal/task"
	"guildhall.dev/services/identity/internal/team"
	"guildhall.dev/services/identity/internal/throttle"
	"guildhall.dev/services/identity/internal/timeline"
	"guildhall.dev/services/identity/internal/verification"
	"guildhall.dev/services/identity/internal/workday"
)

// within are the books that no handler opens.
type within struct {
	credentials *credential.Book
	standings   *standing.Book
	passkeys    *passkey.Party
	erasures    *erasure.Book
}

// newBooks makes the centres that keep something, each behind those that it
// changes along. They do no I/O until there is a store.
func newBooks(cfg *Config, kit *serve.Kit) (c *api.Centres, w within, err error) {
	w = within{credentials: credential.New(), standings: standing.New(), erasures: erasure.New()}
	if w.passkeys, err = passkey.New(cfg.Passkeys.party(kit)); err != nil {
		return nil, w, err
	}
	c = &api.Centres{
		Clock: kit.Clock, Organizations: organization.New(), Teams: team.New(team.MaxMembers, team.MaxSubteams),
		Tags: tag.New(), Attributes: attribute.New(), Ownerships: ownership.New(), Factors: factor.New(w.passkeys), ClientKeys: clientkey.New(w.standings),
		Orders: order.New(kit.Ring), Interactions: interaction.New(kit.Ring), Preferences: preference.New(kit.Ring), Verifications: verification.New(kit.Ring), Stages: stage.New(), Rights: rights.New(), Takeouts: takeout.New(), Absences: absence.New(), Calendars: workday.New(), Dismissals: dismissal.New(), Merges: merge.New(), Timeline: timeline.New(),
	}
	c.Tasks = task.New(c.Calendars)
	c.Segments, c.Apps = segment.New(c.Attributes), app.New(c.Organizations, c.ClientKeys)
	if c.Waits, err = throttle.New(kit.Ring, throttle.Limits{
		Account: cfg.Throttle.PerAccount, Pair: cfg.Throttle.PerPair, Network: cfg.Throttle.PerNetwork,
	}); err != nil {
		return nil, w, err
	}
	if c.Sessions, err = session.New(session.Config{
		Key: kit.Ring.Derive("identity refresh tokens"), Absolute: cfg.Sessions.Absolute, Idle: cfg.Sessions.Idle, Most: cfg.Sessions.PerAccount,
		TokenTTL: cfg.Tokens.TTL, Standing: w.standings,
	}); err != nil {
		return nil, w, err
	}
	if err = newOutbox(c, cfg.Delivery, kit); err != nil {
		return nil, w, err
	}
	if c.Consents, err = consent.New(c.Outbox, kit.Meter); err != nil {
		return nil, w, err
	}
	if c.Accounts, err = account.New(account.Config{
		Hasher: kit.Ring, Organizations: c.Organizations, Credentials: w.credentials, Factors: c.Factors, Keys: c.ClientKeys, Sessions: c.Sessions, Teams: c.Teams,
		Tags: c.Tags, Attributes: c.Attributes, Segments: c.Segments, Ownerships: c.Ownerships, Outbox: c.Outbox, Verifications: c.Verifications, Orders: c.Orders, Interactions: c.Interactions, Preferences: c.Preferences, Stages: c.Stages, Consents: c.Consents, Rights: c.Rights, Takeouts: c.Takeouts,
		Tasks: c.Tasks, Absences: c.Absences, Dismissals: c.Dismissals, Merges: c.Merges, Timeline: c.Timeline, Standing: w.standings, PurgeAfter: cfg.Accounts.PurgeAfter,
	}); err != nil {
		return nil, w, err
	}
	c.Handovers, c.Holds = handover.New(c.Accounts, c.Ownerships), hold.New(c.Accounts, c.Rights)
	c.Scribe = chronicle.NewScribe(c.Accounts, c.Timeline)
	c.Duplicates = duplicate.New(c.Accounts, c.Dismissals)
	c.Desk = desk.New(desk.Config{
		Organizations: c.Organizations, Accounts: c.Accounts, Tasks: c.Tasks, Absences: c.Absences, Calendars: c.Calendars, Outbox: c.Outbox,
	})
	validator, err := rpc.NewValidator()
	if err != nil {
		return nil, w, err
	}
	c.Intake = intake.New(intake.Config{
		Organizations: c.Organizations, Accounts: c.Accounts, Tasks: c.Tasks, Interactions: c.Interactions, Validate: validator.Validate,
	})
	return c, w, nil
}

// tablesOf returns the raw tables of all that is kept.
func tablesOf(c *api.Centres, w within) []string {
	return slices.Concat(
		kv.RawTables(c.Organizations, c.Accounts, c.Teams, c.Tags, c.Attributes, c.Segments, c.Ownerships, c.Orders, c.Interactions, c.Preferences, c.Stages, c.Consents, c.Sessions,
			w.credentials, c.Factors, c.ClientKeys, c.Apps, w.standings, c.Waits, c.Templates, c.Outbox, c.Verifications,
			c.Tasks, c.Absences, c.Calendars, c.Dismissals, c.Merges, c.Rights, c.Takeouts, c.Holds, c.Timeline, w.erasures),
		keyring.Tables(), bootstrap.Tables(), change.Tables())
}
