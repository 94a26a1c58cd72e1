package oauth

// Metadata returns the document that clients of an issuer begin with (RFC 8414
// section 2, OpenID Connect Discovery section 3). The issuer is configuration and
// never read from a request: clients hold it against the one they know.
//
// Left out on purpose is RS256, which OpenID Connect asks all to offer: tokens
// and id tokens are signed with one kind of key, Ed25519, which every client
// library of today verifies.
func Metadata(issuer, base string) any {
	return map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              base + keysPath,
		"authorization_endpoint":                base + AuthorizePath,
		"token_endpoint":                        base + TokenPath,
		"userinfo_endpoint":                     base + UserInfoPath,
		"introspection_endpoint":                base + IntrospectPath,
		"revocation_endpoint":                   base + RevokePath,
		"scopes_supported":                      []string{"openid", "profile", "email", "phone", "offline_access", "api"},
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token", "client_credentials"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"EdDSA"},
		"code_challenge_methods_supported":      []string{"S256"},
		"prompt_values_supported":               []string{"none", "login", "consent"},
		"ui_locales_supported":                  []string{English, Chinese},
		"claims_supported": []string{
			"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "sid", "at_hash",
			"name", "locale", "email", "email_verified", "phone_number", "phone_number_verified",
		},
		// RFC 9207: the answer says who gives it.
		"authorization_response_iss_parameter_supported": true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,

		"token_endpoint_auth_methods_supported":                    append(methods(), "none"),
		"token_endpoint_auth_signing_alg_values_supported":         algorithms(),
		"introspection_endpoint_auth_methods_supported":            methods(),
		"introspection_endpoint_auth_signing_alg_values_supported": algorithms(),
		"revocation_endpoint_auth_methods_supported":               append(methods(), "none"),
		"revocation_endpoint_auth_signing_alg_values_supported":    algorithms(),
	}
}

func methods() []string {
	return []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
}

// algorithms are what identity takes assertions with.
func algorithms() []string { return []string{"EdDSA", "ES256", "PS256", "RS256"} }
