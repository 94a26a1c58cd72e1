package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// foreignToken returns an access token for an account that is right in all but
// its signature: it is signed with a key of somebody else's.
func foreignToken(t testing.TB, issuer, account string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	part := func(claims map[string]any) string {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	signed := part(map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}) + "." + part(map[string]any{
		"iss": issuer, "aud": "guildhall", "sub": account, "iat": now, "exp": now + 600, "jti": "j1",
	})
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

// TestToken_expires waits for the shortest life of a token, and for the time
// that clocks may differ. Calls are refused then, and open streams end.
func TestToken_expires(t *testing.T) {
	t.Parallel()
	s, administrator, oneTimePassword := fresh(t, "--identity.tokens.ttl=30s")
	s.operator = s.adoptOperator(administrator, oneTimePassword)
	var streams []*listener
	var people []*person
	for _, d := range []door{grpcDoor, httpDoor} {
		c := s.found(t, d)
		group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
			Parent: c.name, Group: &groupchatv1.Group{DisplayName: "G"},
		}))(t).GetName()
		streams = append(streams, c.listen(t, c.admin, group, 0))
		people = append(people, c.admin)
	}
	for i, stream := range streams {
		for step := range stream.steps {
			t.Errorf("an unexpected step: %v", step)
		}
		wants(t, "the reason of the end", errs.ReasonOf(stream.err), "TOKEN_EXPIRED")
		refused(people[i].auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t, errs.Unauthenticated, "TOKEN_EXPIRED")
		refresh := &identityv1.RefreshTokenRequest{RefreshToken: people[i].tokens.GetRefreshToken()}
		tokens := need(s.open(t, httpDoor, "").auth.RefreshToken(t.Context(), refresh))(t)
		need(s.open(t, httpDoor, tokens.GetAccessToken()).auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t)
	}
}
