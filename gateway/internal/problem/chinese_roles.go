package problem

// chineseRoles are the texts of the reasons of roles, resource types and
// properties.
var chineseRoles = map[string]text{
	"COLLECTION_UNKNOWN":                {"未知的集合", "权限目录中没有这个资源集合。"},
	"ROLE_CYCLE":                        {"角色循环包含", "角色会因此包含自身，请去掉造成循环的角色。"},
	"ROLE_HIERARCHY_LIMIT":              {"角色层级过大", "角色的包含层级过深，或涉及的角色过多。"},
	"ROLE_REVISION_NOT_FOUND":           {"未找到角色版本", "该角色版本不存在、已不再保留，或您无权查看。"},
	"RESOURCE_TYPE_EXISTS":              {"资源类型已存在", "该资源类型标识已被使用。"},
	"RESOURCE_TYPE_NOT_FOUND":           {"未找到资源类型", "资源类型不存在，或您无权查看。"},
	"RESOURCE_TYPE_COLLECTION_TAKEN":    {"集合名已被使用", "该集合名已属于另一个资源类型。"},
	"RESOURCE_TYPE_COLLECTION_RESERVED": {"集合名被保留", "该集合名由系统使用，请换一个。"},
	"RESOURCE_TYPE_ACTION_REPEATED":     {"操作重复", "同一个操作只能列出一次。"},
	"RESOURCE_TYPE_IN_USE":              {"资源类型使用中", "仍有角色使用该类型的权限，请先修改角色。"},
	"RESOURCE_TYPE_LIMIT":               {"资源类型过多", "机构的资源类型已达上限，请先删除一些。"},
	"PROPERTIES_NOT_FOUND":              {"没有属性", "该名称没有存储任何属性，或您无权查看。"},
	"PROPERTIES_TOO_LARGE":              {"属性过大", "该名称的属性过大，或嵌套过深。"},
}
