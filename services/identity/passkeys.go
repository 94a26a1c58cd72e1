package identity

import (
	"net/netip"
	"net/url"

	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/identity/internal/passkey"
)

// Passkeys is who browsers know the suite as.
type Passkeys struct {
	Domain  string   `yaml:"domain" doc:"The domain that passkeys are bound to: the one of the pages that ask for them, or one above it. Empty is the issuer's host, and no passkeys where that is an address. Passkeys of another domain are of no use: do not change it."`
	Origins []string `yaml:"origins" doc:"Pages in the domain, as https://login.example.com, and apps, as android:apk-key-hash:…, that may ask for passkeys. Empty is the issuer's."`
	Name    string   `yaml:"name" doc:"What people's devices call the suite beside a passkey."`
}

// party returns the relying party of a configuration.
func (p Passkeys) party(kit *serve.Kit) passkey.Config {
	cfg := passkey.Config{ID: p.Domain, Name: p.Name, Origins: p.Origins, Key: kit.Ring.Derive("identity passkeys")}
	u, err := url.Parse(kit.Issuer)
	if err != nil || u.Host == "" {
		return cfg
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && cfg.ID == "" {
		cfg.ID = u.Hostname()
	}
	if len(cfg.Origins) == 0 {
		cfg.Origins = []string{u.Scheme + "://" + u.Host}
	}
	return cfg
}
