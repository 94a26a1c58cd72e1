package oauth

import (
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Tokens is the answer of the token endpoint (RFC 6749 section 5.1).
type Tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// TokensOf returns the answer as the RFC has it.
func TokensOf(r *identityv1.IssueTokenResponse) Tokens {
	return Tokens{
		AccessToken: r.GetAccessToken(), TokenType: r.GetTokenType(), ExpiresIn: r.GetExpiresIn(), Scope: r.GetScope(),
		RefreshToken: r.GetRefreshToken(), IDToken: r.GetIdToken(),
	}
}

// Introspection is the answer about a token (RFC 7662 section 2.2).
type Introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
	// Factors are how the person proved who they are, AuthTime when.
	Factors  []string `json:"amr,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
}

// IntrospectionOf returns the answer as the RFC has it.
func IntrospectionOf(r *identityv1.IntrospectTokenResponse) Introspection {
	if !r.GetActive() {
		return Introspection{}
	}
	return Introspection{
		Active: true, Scope: r.GetScope(), ClientID: r.GetClientId(), TokenType: r.GetTokenType(),
		Expires: r.GetExpireTime().GetSeconds(), IssuedAt: r.GetIssueTime().GetSeconds(), Subject: r.GetSub(),
		Audience: r.GetAud(), Issuer: r.GetIss(), ID: r.GetJti(), Factors: r.GetAmr(), AuthTime: r.GetAuthTime().GetSeconds(),
	}
}

// UserInfo is the answer about a person (OpenID Connect Core section 5.1). Of a mail
// address and a number it says in any case whether they were proven to be theirs.
type UserInfo struct {
	Subject       string `json:"sub"`
	Name          string `json:"name,omitempty"`
	Locale        string `json:"locale,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
	Phone         string `json:"phone_number,omitempty"`
	PhoneVerified *bool  `json:"phone_number_verified,omitempty"`
}

// UserInfoOf returns the answer as the specification has it.
func UserInfoOf(i *identityv1.UserInfo) UserInfo {
	out := UserInfo{Subject: i.GetSub(), Name: i.GetName(), Locale: i.GetLocale(), Email: i.GetEmail(), Phone: i.GetPhoneNumber()}
	if out.Email != "" {
		out.EmailVerified = new(i.GetEmailVerified())
	}
	if out.Phone != "" {
		out.PhoneVerified = new(i.GetPhoneNumberVerified())
	}
	return out
}
