package problem

// chineseTeams are the reasons of teams below teams.
var chineseTeams = map[string]text{
	"TEAM_CYCLE":        {"团队循环嵌套", "团队会因此位于自身之下，请选择不在该团队之下的上级团队。"},
	"TEAM_TOO_DEEP":     {"团队层级过深", "团队最多十六层，请选择更靠近顶层的位置。"},
	"TEAM_HAS_SUBTEAMS": {"团队下还有团队", "请先移动或删除下级团队，或发送 force 使其上移到该团队原来的位置。"},
}
