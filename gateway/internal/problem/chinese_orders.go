package problem

// chineseOrders are the reasons of customers' orders and their import.
var chineseOrders = map[string]text{
	"ORDER_NOT_FOUND":        {"订单不存在", "该订单不存在，或您无权查看。"},
	"ORDER_EXISTS":           {"订单已存在", "已有相同来源和编号、但内容不同的订单；如需更正，请先删除它。"},
	"ORDER_MISMATCH":         {"与订单不符", "该订单属于其他客户或使用其他货币，请检查订单编号。"},
	"ORDER_LINE_LIMIT":       {"订单行过多", "一个订单最多有 5000 行。"},
	"ORDER_TIME_INVALID":     {"订单时间无效", "请按约定的格式发送下单时间，须在 1900 年之后，且不晚于明天。"},
	"RETURNED_ORDER_INVALID": {"被退订单无效", "请指定同一客户的一个购买订单，且本订单的所有行都须为退货。"},
	"CURRENCY_INVALID":       {"货币无效", "请使用 ISO 4217 货币代码，例如 CNY。"},
	"CURRENCY_MISMATCH":      {"货币不一致", "一个订单只有一种货币，所有金额都须使用该货币。"},
	"MONEY_INVALID":          {"金额无效", "整数与小数部分的符号须相同，最多六位小数，单价不得为负。"},
	"AMOUNT_OVERFLOW":        {"金额过大", "金额过大，无法精确计算；请检查数量和单价。"},
	"CUSTOMER_MISSING":       {"缺少客户", "该行没有指明客户。"},
	"QUANTITY_INVALID":       {"数量无效", "数量须为不等于零的整数。"},
	"UNIT_PRICE_INVALID":     {"单价无效", "单价须为不小于零的数，用小数点，最多六位小数。"},
	"PRODUCT_INVALID":        {"商品编号无效", "商品编号最多 64 个字符。"},
	"DESCRIPTION_INVALID":    {"商品名称无效", "商品名称最多 200 个字符。"},
	"TIME_LAYOUT_INVALID":    {"时间格式无效", "请用 yyyy-MM-dd HH:mm:ss 这样的格式，须包含年、月、日。"},
	"TIME_ZONE_UNKNOWN":      {"时区未知", "请使用 IANA 时区名称，例如 Asia/Shanghai。"},
}
