package problem

// chineseBulk are the texts of the reasons of bulk changes of grants.
var chineseBulk = map[string]text{
	"REVISION_MISMATCH": {"授权已有变化", "机构的授权或角色在该版本之后已有变化，请重新读取后再决定。"},
	"GRANT_EXPECTED":    {"缺少预期的授权", "批量操作要求存在的授权并不存在，请重新读取后再决定。"},
	"GRANT_UNEXPECTED":  {"已有不应存在的授权", "批量操作要求不存在的授权已经存在，请重新读取后再决定。"},
}
