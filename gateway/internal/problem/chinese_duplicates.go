package problem

// chineseDuplicates are the reasons of customers who may be one person.
var chineseDuplicates = map[string]text{
	"DUPLICATE_DISMISSAL_NOT_FOUND": {"未找到排除记录", "该记录不存在，或您无权查看。"},
	"DUPLICATE_DISMISSAL_EXISTS":    {"该对客户已被排除", "这两位客户已被标记为不重复，或该标识已被使用。"},
}
