package identity

import (
	"time"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/keyring"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// Config is the section "identity". Zero values stand for the defaults.
type Config struct {
	Bootstrap Bootstrap `yaml:"bootstrap" doc:"The first organisation, made at the first start on an empty store."`
	Tokens    Tokens    `yaml:"tokens" doc:"Access tokens and the keys that sign them."`
	Sessions  Sessions  `yaml:"sessions" doc:"How long a login lasts. A change counts for logins from then on, idle at once."`
	Passkeys  Passkeys  `yaml:"passkeys" doc:"The relying party of passkeys (WebAuthn)."`
	Passwords Passwords `yaml:"passwords" doc:"How passwords are hashed, with argon2id. A change takes effect for each account at its next login."`
	Throttle  Throttle  `yaml:"throttle" doc:"How many wrong guesses make nobody wait. Beyond, waits double from a second: up to 5 minutes for an account, 15 minutes for one network at an account, 30 seconds for a network."`
	Accounts  Accounts  `yaml:"accounts" doc:"Accounts of staff and customers."`
	Delivery  Delivery  `yaml:"delivery" doc:"Messages to people, by mail and SMS."`
}

// Bootstrap is how an installation begins.
type Bootstrap struct {
	Organization string `yaml:"organization" doc:"Last segment of the first organisation's name. Its administrator is organizations/{organization}/staff/admin, and may create other organisations. Of no effect once there is an organisation."`
	Reissue      bool   `yaml:"reissue" doc:"At start, make and show a new one-time password for the first administrator: the way back in for whoever runs the process. The old password, its second factors and all its sessions end, and the account is active again if it was disabled or deleted. For one start: each start with it makes another."`
}

// Check wants a segment of a name.
func (b Bootstrap) Check(r *conf.Report) {
	if !resource.ValidID(b.Organization) {
		r.Fault("organization", "must be lower-case letters, digits and inner hyphens, as in acme")
	}
}

// Tokens is what access tokens are like.
type Tokens struct {
	TTL      time.Duration `yaml:"ttl" min:"30s" max:"1h" doc:"How long an access token lives. One whose session has ended is refused at once all the same."`
	Rotation time.Duration `yaml:"rotation" min:"2h" doc:"How long a signing key signs before the next one does."`
	Renew    bool          `yaml:"renew" doc:"At start, throw all signing keys away and make new ones, because others may know them. Access tokens signed before are void within minutes; sessions go on."`
}

// Sessions is how long logins last.
type Sessions struct {
	Absolute   time.Duration `yaml:"absolute" min:"1m" doc:"Longest life of a session."`
	Idle       time.Duration `yaml:"idle" min:"1m" doc:"Longest time between two refreshes of a session."`
	PerAccount int           `yaml:"per_account" min:"1" max:"1000" doc:"Most sessions of an account at once; one more login ends the oldest."`
}

// Passwords is the cost of hashing.
type Passwords struct {
	Time    uint32        `yaml:"time" min:"1" max:"64" doc:"Passes over the memory."`
	Memory  uint32        `yaml:"memory" min:"8192" max:"1048576" doc:"Memory of one hash, in KiB."`
	Threads uint8         `yaml:"threads" min:"1" max:"16" doc:"Lanes of one hash."`
	Workers int           `yaml:"workers" min:"0" doc:"Hashes computed at once; 0 is one for each processor."`
	Wait    time.Duration `yaml:"wait" min:"10ms" doc:"How long a login waits for its turn before it is refused with HASHING_BUSY."`
}

// Throttle is how many guesses are free of a wait.
type Throttle struct {
	PerAccount int `yaml:"per_account" min:"1" max:"100" doc:"Wrong passwords at one account, from anywhere but its known devices. One is forgotten every 5 minutes."`
	PerPair    int `yaml:"per_pair" min:"1" max:"100" doc:"Wrong passwords at one account from one network, or from one known device. One is forgotten every 15 minutes, all at a login."`
	PerNetwork int `yaml:"per_network" min:"10" max:"100000" doc:"Wrong passwords and codes, and requests for resets of passwords, from one network, an IPv4 address or the /64 of an IPv6 address. One is forgotten every 30 seconds. Raise it where many people share an address."`
}

// Accounts is how long a deleted account is kept.
type Accounts struct {
	PurgeAfter time.Duration `yaml:"purge_after" min:"1h" doc:"How long a deleted account can be undeleted before all of it is removed."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() *Config {
	cost := credential.DefaultParams()
	return &Config{
		Bootstrap: Bootstrap{Organization: "guildhall"},
		Tokens:    Tokens{TTL: session.DefaultTokenTTL, Rotation: keyring.DefaultRotation},
		Sessions:  Sessions{Absolute: session.DefaultAbsolute, Idle: session.DefaultIdle, PerAccount: session.DefaultMost},
		Passkeys:  Passkeys{Name: "Guildhall"},
		Passwords: Passwords{Time: cost.Time, Memory: cost.Memory, Threads: cost.Threads, Wait: credential.DefaultWait},
		Throttle:  Throttle{PerAccount: throttle.DefaultAccount, PerPair: throttle.DefaultPair, PerNetwork: throttle.DefaultNetwork},
		Accounts:  Accounts{PurgeAfter: account.DefaultPurgeAfter},
		Delivery:  defaultDelivery(),
	}
}

// setDefaults fills what is zero, so that a Config made by hand works too.
func (c *Config) setDefaults() {
	d := DefaultConfig()
	orDefault(&c.Bootstrap.Organization, d.Bootstrap.Organization)
	orDefault(&c.Tokens.TTL, d.Tokens.TTL)
	orDefault(&c.Tokens.Rotation, d.Tokens.Rotation)
	orDefault(&c.Passkeys.Name, d.Passkeys.Name)
	orDefault(&c.Passwords.Time, d.Passwords.Time)
	orDefault(&c.Passwords.Memory, d.Passwords.Memory)
	orDefault(&c.Passwords.Threads, d.Passwords.Threads)
	orDefault(&c.Delivery.Mail, d.Delivery.Mail)
	orDefault(&c.Delivery.SMS, d.Delivery.SMS)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
