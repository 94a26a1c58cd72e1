package problem

import "maps"

// chineseReasons are the texts of all reasons, one part for each file of them.
// A test holds them against the reasons that the protos' comments promise.
var chineseReasons = merge(
	chineseGeneral,
	chineseDuty,
	chineseChange,
	chineseGrants,
	chineseRoles,
	chineseStanding,
	chinesePolicies,
	chineseBulk,
	chineseLeases,
	chineseFields,
	chineseSegments,
	chineseRequests,
	chineseTypes,
	chineseTeams,
	chineseClients,
	chineseThrottle,
	chineseOrders,
	chineseContacts,
	chineseReach,
	chineseOwnership,
	chineseFactors,
	chineseRights,
	chineseMoves,
	chineseStages,
	chineseConsents,
	chinesePasskeys,
	chineseTasks,
	chineseDuplicates,
	chineseInteractions,
	chineseMerges,
	chineseInteractions, chinesePreferences,
)

// merge returns the texts of all parts. A reason is in one of them.
func merge(parts ...map[string]text) map[string]text {
	all := make(map[string]text)
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}
