package problem

// chineseDuty are the texts of the reasons of duties, qualifications,
// appointments, inspections and appraisals.
var chineseDuty = map[string]text{
	"DUTY_PROFILE_EXISTS":       {"岗位职责已存在", "该职责标识已被使用。"},
	"DUTY_PROFILE_NOT_FOUND":    {"未找到岗位职责", "岗位职责不存在，或您无权查看。"},
	"DUTY_PROFILE_IN_USE":       {"岗位职责使用中", "仍有人担任该职责，请先结束其职责。"},
	"DUTY_RESOURCE_INVALID":     {"资源范围无效", "请填写本机构的资源名称；职责中可用 {scope} 代表所在范围，资质要求中可用 * 代表任一标识。"},
	"DUTY_ASSIGNED":             {"已担任该职责", "该对象在此范围内已有这项职责。"},
	"DUTY_ASSIGNMENT_NOT_FOUND": {"未找到职责分配", "职责分配不存在，或您无权查看。"},

	"COURSE_EXISTS":                       {"课程已存在", "该课程标识已被使用。"},
	"COURSE_NOT_FOUND":                    {"未找到课程", "课程不存在，或您无权查看。"},
	"COURSE_IN_USE":                       {"课程使用中", "仍有资质要求或培训记录使用该课程。"},
	"COURSE_PERIOD_INVALID":               {"期限无效", "提前提醒的时间必须短于证书的有效期。"},
	"TRAINING_RECORD_EXISTS":              {"培训记录已存在", "该培训记录标识已被使用。"},
	"TRAINING_RECORD_NOT_FOUND":           {"未找到培训记录", "培训记录不存在，或您无权查看。"},
	"ASSESSOR_IS_TRAINEE":                 {"不能考核自己", "培训结果须由他人确认。"},
	"CERTIFICATION_REQUIREMENT_EXISTS":    {"资质要求已存在", "该资质要求标识已被使用。"},
	"CERTIFICATION_REQUIREMENT_NOT_FOUND": {"未找到资质要求", "资质要求不存在，或您无权查看。"},
	"ROLE_NOT_QUALIFIABLE":                {"该角色不能要求证书", "管理机构或系统的角色不能以证书为条件，否则可能无人能够确认证书。"},
	"TOO_MANY_REQUIREMENTS":               {"资质要求过多", "每个机构最多 100 项资质要求，请先删除一些。"},
}
