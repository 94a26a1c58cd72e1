package authzen

// WellKnown is the path of the metadata; a tenant's follows it.
const WellKnown = "/.well-known/authzen-configuration"

// accessRequestCapability says that denials may be requestable.
const accessRequestCapability = "urn:openid:authzen:capability:access-request"

// Metadata returns the configuration of the decision point at a base URL
// without a slash at its end: the installation's, or with "/acme" behind it
// that of a tenant. policy_decision_point has to equal the URL that was asked
// for (section 9), which is why the base is configuration and never read from
// a request.
func (a *API) Metadata(base string) any {
	out := map[string]any{"policy_decision_point": base, "capabilities": []string{accessRequestCapability}}
	for _, e := range a.Endpoints() {
		out[e.Key] = base + e.Path
	}
	return out
}
