package problem

// chineseLeases are the reasons of how soon changes of permissions take effect,
// and how fresh checks are.
var chineseLeases = map[string]text{
	"REVOCATION_PENDING":        {"变更尚未全面生效", "变更已保存，但可能尚未在所有副本上生效；请用相同的 request_id 重试，以等待其生效。"},
	"CONSISTENCY_TOKEN_INVALID": {"一致性令牌无效", "请原样发送变更或核对返回的一致性令牌，且只用于同一组织。"},
	"CONSISTENCY_TOKEN_AHEAD":   {"一致性令牌已失效", "令牌所指的状态不在存储中，可能是因为从备份恢复过；请不带令牌重试。"},
}
