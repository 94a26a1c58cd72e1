package e2e

import "testing"

// bodies are the tests that run on every topology, side by side.
var bodies = map[string]func(t *testing.T, s *suite){
	"tour":        tour,
	"tenants":     tenants,
	"strangers":   strangers,
	"mails":       mails,
	"newcomers":   newcomers,
	"escalation":  escalation,
	"revocations": revocations,
	"immediate":   immediate,
	"bad-input":   badInput,
	"conditions":  conditions,
	"segments":    segments,
	"handovers":   handovers,
	"journals":    journals,
	"fields":      fieldPolicies,
	"types":       types,
	"networks":    networks,
	"approvals":   approvals,
	"clients":     standardClients,
	"factors":     secondFactors,
	"subjects":    subjectRights,
	"merges":      merges,
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for name, start := range topologies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			t.Run("bodies", func(t *testing.T) {
				for name, body := range bodies {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						body(t, s)
					})
				}
			})
			t.Run("faults", func(t *testing.T) { faults(t, s) })
		})
	}
}
