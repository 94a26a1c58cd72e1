package oauth

// Metadata returns the document that clients of an issuer begin with (RFC 8414
// section 2, OpenID Connect Discovery section 3). The issuer is configuration and
// never read from a request: clients hold it against the one they know.
//
// Left out on purpose are RS256, which OpenID Connect asks all to offer: tokens
// and id tokens are signed with one kind of key, Ed25519, which every client
// library of today verifies.
func Metadata(issuer, base string) any {
	return map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              base + keysPath,
		"token_endpoint":                        base + TokenPath,
		"introspection_endpoint":                base + IntrospectPath,
		"revocation_endpoint":                   base + RevokePath,
		"scopes_supported":                      []string{"api"},
		"response_types_supported":              []string{},
		"grant_types_supported":                 []string{"client_credentials"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"EdDSA"},

		"token_endpoint_auth_methods_supported":                    methods(),
		"token_endpoint_auth_signing_alg_values_supported":         algorithms(),
		"introspection_endpoint_auth_methods_supported":            methods(),
		"introspection_endpoint_auth_signing_alg_values_supported": algorithms(),
		"revocation_endpoint_auth_methods_supported":               methods(),
		"revocation_endpoint_auth_signing_alg_values_supported":    algorithms(),
	}
}

func methods() []string {
	return []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
}

// algorithms are what identity takes assertions with.
func algorithms() []string { return []string{"EdDSA", "ES256", "PS256", "RS256"} }
