package problem

// chineseOwnership are the reasons of owners of customers and of hand-overs.
var chineseOwnership = map[string]text{
	"OWNER_NOT_ACTIVE":             {"负责人不可用", "只有在职且账号已启用的员工可以负责客户。"},
	"OWNER_NOT_DEPARTED":           {"负责人仍在职", "该负责人的账号仍在使用。请先停用或删除账号，或逐个分配客户。"},
	"OWNER_UNCHANGED":              {"负责人未变", "请选择现任负责人以外的员工。"},
	"OWNER_ONLY":                   {"仅限负责人", "只有客户的负责人或有权分配负责人的人可以这样做。"},
	"OWNER_DAILY_LIMIT":            {"今日接收已达上限", "该员工今天接收的客户已达上限，请在次日（UTC）再试。"},
	"CUSTOMER_NOT_ACTIVE":          {"客户不可用", "客户已停用或已删除，请先恢复。"},
	"OWNERSHIP_COOL_DOWN":          {"客户刚刚转接过", "该客户不久前转接过，在冷却期结束前不能再次转接。"},
	"OWNERSHIP_TRANSFER_EXISTS":    {"转接已存在", "该转接标识已被使用。"},
	"OWNERSHIP_TRANSFER_NOT_FOUND": {"未找到转接", "转接不存在，或您无权查看。"},
	"OWNERSHIP_TRANSFER_PENDING":   {"已有待处理的转接", "该客户已有一个等待接收的转接，请先处理或取消。"},
	"OWNERSHIP_TRANSFER_LIMIT":     {"待接收的转接过多", "等待该员工处理的转接已达上限，请等其处理一些后再试。"},
	"OWNERSHIP_TRANSFER_ENDED":     {"转接已结束", "该转接已结束，请重新发起。"},
	"TRANSFER_RECIPIENT_ONLY":      {"仅限接收人", "只有转接的接收人可以答复。"},
	"DECLINE_WINDOW_OVER":          {"已过拒绝期限", "新负责人的拒绝期限已过，如需更换请联系我们。"},
}
