package app

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// checkRedirects refuses addresses that people must not be sent to with a code:
// ones that others could read on the way, or that are no address but a script.
// The error is Invalid (REDIRECT_URI_INVALID).
func checkRedirects(a *identityv1.OAuthClient) error {
	for _, text := range a.GetRedirectUris() {
		if !redirectable(text, a.GetType() == identityv1.OAuthClient_TYPE_PUBLIC) {
			return errs.InvalidField("oauth_client.redirect_uris", "REDIRECT_URI_INVALID",
				"send absolute addresses without a fragment: https, http on the machine itself, or of a public app a scheme of its own with a dot in it")
		}
	}
	return nil
}

// plainHost is a host that is written as hosts are, and nothing that could mean
// more where it is quoted, as in the policy of the login page.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func redirectable(text string, public bool) bool {
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" || strings.Contains(text, "#") || u.User != nil || strings.ContainsFunc(text, unprintable) {
		return false
	}
	switch u.Scheme {
	case "https":
		return plainHost.MatchString(u.Host)
	case "http":
		// RFC 8252 section 7.3: it does not leave the machine.
		address, err := netip.ParseAddr(u.Hostname())
		return plainHost.MatchString(u.Host) && (u.Hostname() == "localhost" || err == nil && address.IsLoopback())
	default:
		// RFC 8252 section 7.1: a scheme is its owner's domain, the other way round.
		return public && strings.Contains(u.Scheme, ".") && u.Opaque == "" && (u.Host == "" || plainHost.MatchString(u.Host))
	}
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }

// MayRedirect reports whether the address is one of the app's, compared character
// by character: whatever else looks equal, someone finds a way to make another
// (RFC 9700 section 4.1).
func MayRedirect(a *identityv1.OAuthClient, address string) bool {
	return slices.Contains(a.GetRedirectUris(), address)
}
