package taxonomy

import (
	"strings"

	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// general is the id of the type of messages that were sent before there were
// types, and of those that name none until an organisation chooses another.
const general = "general"

// long: a table.
func builtIns() []*groupchatv1.MessageType {
	return []*groupchatv1.MessageType{
		{Name: general, DisplayName: "General", DisplayNameZh: "一般", Description: "What is of no other type."},
		{Name: "inquiry", DisplayName: "Inquiry", DisplayNameZh: "咨询", Description: "A customer asks before it buys: prices, hours, products."},
		{Name: "order", DisplayName: "Order", DisplayNameZh: "订单", Description: "Orders, delivery, payment, returns."},
		{Name: "complaint", DisplayName: "Complaint", DisplayNameZh: "投诉", Description: "A customer is not satisfied."},
		{Name: "announcement", DisplayName: "Announcement", DisplayNameZh: "公告", Description: "The enterprise tells the group what holds from now on."},
		{Name: "news", DisplayName: "News", DisplayNameZh: "资讯", Description: "The enterprise tells the group what is new."},
	}
}

// IsBuiltIn reports whether an id is that of a built-in type.
func IsBuiltIn(id string) bool {
	for _, v := range builtIns() {
		if v.GetName() == id {
			return true
		}
	}
	return false
}

// builtIn returns the built-in type of a name, nil when it is none.
func builtIn(name string) *groupchatv1.MessageType {
	for _, v := range builtInsOf(home(name)) {
		if v.GetName() == name {
			return v
		}
	}
	return nil
}

// builtInsOf returns the built-in types as an organisation has them.
func builtInsOf(parent string) []*groupchatv1.MessageType {
	all := builtIns()
	for _, v := range all {
		v.Name, v.BuiltIn = Of(parent, v.GetName()), true
	}
	return all
}

// Of returns the name of an organisation's type by its id.
func Of(parent, id string) string { return parent + "/messageTypes/" + id }

// ID returns the id of a type by its name: what conditions of grants compare
// with.
func ID(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// General returns the name of an organisation's type "general".
func General(parent string) string { return Of(parent, general) }
