package problem

// chineseMoves are the reasons of moves of what services keep, from one account of a
// person to another.
var chineseMoves = map[string]text{
	"MERGE_INVALID":  {"合并记录名称无效", "请填写同一组织的合并记录名称，例如 organizations/acme/mergeRecords/m1。"},
	"MERGE_MISMATCH": {"合并记录不符", "该合并记录属于其他账户；请使用开始合并时的账户。"},
	"MERGE_UNDONE":   {"合并已撤销", "该合并已被撤销；如需合并，请重新发起。"},
}
