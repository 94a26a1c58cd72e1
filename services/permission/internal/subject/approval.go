package subject

import "strings"

const approvalsMark = "#approvals"

// Approvals returns the name under which an account's approvals in force are
// kept together. It is no subject of a grant.
func Approvals(account string) string { return account + approvalsMark }

// ParseApprovals undoes Approvals, and reports whether the name is one.
func ParseApprovals(name string) (account string, ok bool) {
	account, ok = strings.CutSuffix(name, approvalsMark)
	return account, ok && IsAccount(account)
}
