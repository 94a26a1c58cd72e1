package problem

// chineseTypes are the texts of the reasons of message types.
var chineseTypes = map[string]text{
	"MESSAGE_TYPE_NOT_FOUND":    {"未找到消息类型", "本机构没有这种消息类型。"},
	"MESSAGE_TYPE_EXISTS":       {"消息类型已存在", "该类型标识已被使用（内置类型和已停用的类型也算），请换一个。"},
	"MESSAGE_TYPES_FULL":        {"消息类型过多", "每个机构最多 100 种自有类型（含已停用的），请恢复使用其中一种。"},
	"MESSAGE_TYPE_BUILT_IN":     {"内置消息类型", "内置类型不可更改，请添加本机构自己的类型。"},
	"MESSAGE_TYPE_DELETED":      {"消息类型已停用", "请先恢复该类型，或改用其他类型。"},
	"MESSAGE_TYPE_IS_DEFAULT":   {"默认消息类型", "未指明类型的消息使用该类型，请先将其他类型设为默认。"},
	"MESSAGE_TYPE_CHANGES_FULL": {"更改类型次数过多", "该消息的类型已更改 100 次，不能再改。"},
	"MESSAGE_RECALLED":          {"消息已撤回", "已撤回的消息不能更改类型。"},
	"MESSAGE_RETYPED":           {"消息类型有变", "消息类型在此期间已更改，请重新读取后再试。"},
}
