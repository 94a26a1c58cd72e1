package problem

// chineseRequests are the texts of the reasons of AuthZEN access requests.
var chineseRequests = map[string]text{
	MemberUnsupported: {"不支持的内容", "请求中有本服务不支持的内容，处理办法见 violations。"},
	NotRequestable:    {"不能申请", "该操作未被拒绝，或不能通过申请获得，请重新查询后再决定。"},
	ExpiredDenial:     {"拒绝结果已过期", "该拒绝结果已超过可申请的时间，请重新查询。"},
	InvalidBinding:    {"与拒绝结果不符", "请原样提交拒绝结果，且主体、操作和资源须与被拒绝的一致。"},
	DuplicateRequest:  {"幂等键重复", "同一个 Idempotency-Key 已用于内容不同的申请。"},
	UnknownTask:       {"未找到申请任务", "申请任务不存在，或您无权查看。"},
	TaskExpired:       {"申请任务已过期", "申请任务的有效期已过，请查看相应的权限变更申请。"},
	InvalidTaskState:  {"申请已有结果", "申请已有结果，不能再取消。"},
}
