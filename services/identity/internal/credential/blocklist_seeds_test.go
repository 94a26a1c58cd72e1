package credential

// What people type when they must type something: the heads of published
// statistics of leaked passwords, from memory, in the languages of customers.
const typed = `
password passwort passw0rd passwd pass passphrase passwords mypassword kennwort motdepasse contrasena senha parola wachtwoord losenord heslo haslo
secret secure security letmein letmeinnow welcome login logon signin access account admin admin123 administrator root toor superuser sysadmin manager
master default changeme changeit change temp temporary temp123 test test123 testing tester demo example sample guest user username newuser computer internet
laptop server service system company office guildhall guild customer staff hello hellothere helloworld world iloveyou iloveu ilove love lovely loveyou
loveme lover sweetheart sweetie darling honey baby babygirl babyboy angel angels princess prince queen king kingdom sunshine summer winter spring autumn
january february march april june july august september october november december monday tuesday wednesday thursday friday saturday sunday
monkey dragon tiger lion eagle falcon phoenix wolf panther puppy kitten doggie buster shadow ninja samurai warrior knight hunter killer pokemon pikachu
minecraft fortnite roblox superman batman spiderman ironman starwars startrek matrix naruto football soccer baseball basketball hockey golf tennis racing
ferrari porsche mercedes mustang corvette harley yamaha liverpool arsenal chelsea barcelona juventus realmadrid manchester yankees lakers cowboys steelers
whatever trustno1 freedom forever nothing blink182 metallica slipknot nirvana rockyou qwerty123 qwerty1 abc123 abcd1234 a1b2c3 a1b2c3d4 aa123456 a123456
a123456789 asd123 qwe123 qweasd qweasdzxc asdzxc zaq12wsx zaq1zaq1 1q2w3e 1q2w3e4r5t p@ssw0rd p@ssword pa$$word passw0rd1 cheese chocolate cookie
banana apple orange strawberry pepper ginger coffee samsung google facebook microsoft windows android iphone apple123 linkedin instagram youtube twitter
flower butterfly rainbow diamond silver golden purple yellow heaven jesus jesuschrist godisgood blessed faith hope peace money dollar bitcoin lucky
lucky7 success winner champion number1 thebest cool awesome fuckyou fuckoff asshole bitch
correcthorsebatterystaple correct horse battery staple thequickbrownfox thequickbrownfoxjumps jumpsoverthelazydog tobeornottobe tobeornottobethatisthequestion
maytheforcebewithyou iamyourfather winteriscoming onceuponatime happybirthday merrychristmas happynewyear loremipsum loremipsumdolorsitamet
inthebeginning ourfatherwhoartinheaven wethepeople fourscoreandsevenyearsago callmeishmael itwasthebestoftimes ithinkthereforeiam
ichliebedich jetaime teamo tiamo yatebelyublyu ichbins hallo hallowelt schatz liebling sommer geheim berlin hamburg london paris newyork
beijing shanghai guangzhou shenzhen tianjin chongqing chengdu wuhan nanjing hangzhou suzhou xiamen qingdao dalian xian zhongguo china taiwan hongkong
`

// The most common given names of statistics in English.
const englishNames = `
michael jennifer jordan jessica daniel charlie thomas robert ashley andrew james john william david richard joseph charles christopher matthew anthony
mark donald steven paul joshua kenneth kevin brian george edward ronald timothy jason jeffrey ryan jacob gary nicholas eric jonathan stephen larry justin
scott brandon benjamin samuel gregory frank alexander raymond patrick jack dennis jerry tyler aaron jose adam nathan henry douglas zachary peter kyle
mary patricia linda barbara elizabeth susan sarah karen lisa nancy betty margaret sandra kimberly emily donna michelle carol amanda dorothy melissa
deborah stephanie rebecca sharon laura cynthia kathleen amy angela shirley anna brenda pamela emma nicole helen samantha katherine christine debra
rachel carolyn janet catherine maria heather diane ruth julie olivia joyce virginia victoria kelly lauren christina joan evelyn judith megan andrea
cheryl hannah jacqueline martha gloria teresa ann sara madison frances kathryn janice jean abigail alice julia judy sophia grace denise amber doris
marilyn danielle beverly isabella theresa diana natalie brittany charlotte marie kayla alexis lori
`

// What is typed in pinyin: love, greetings, boasts, poems everybody learns.
const pinyin = `
woaini woaini1314 woaini520 woaini521 woainiyibeizi woaiwojia woaiwo woaimama woaibaba woaizhongguo woaixuexi woaita woaini1 aini ainiyiwannian ainiyisheng
woxihuanni xihuanni woxiangni xiangni wohenni buaini niaiwo niaiwoma woshishui woshini woshinibaba nibaba wodemima wodemima123 mima mimashi mima123 mimamima
nihao nihaoma nihao123 zaijian xiexie meiyou buzhidao wobuzhidao wozhidao haohaoxuexi tiantianxiangshang jiayou zhongguojiayou baobao baobei laopo
laogong laoshi tongxue pengyou haopengyou xiaoxiao xiaoming xiaohong xiaogang xiaobao xiaoyu xiaoxue xiaoli xiaolong tiantian mingtian jintian zuotian
kuaile shengrikuaile xinniankuaile gongxifacai wanshiruyi yifanfengshun xinxiangshicheng shentijiankang pinganxifu pingan facai zhaocaijinbao
yiluyousheng tiandiwuyong wudi diyi tianxiadiyi wangzherongyao yingxionglianmeng wodeshijie dota lol123456 qq123456 qqqq qq123 weixin taobao jingdong
baidu alibaba tengxun huawei xiaomi admin888 admin123456 asdasd asdasdasd asd123456 qwe123456 qweqwe qweqweqwe zxczxc zxc123 wangwang longlong feifei
chuangqianmingyueguang yishidishangshuang jutouwangmingyue ditousiguxiang bairiyishanjin chunmianbujuexiao chuntianlaile qianlizhixing
renzhichuxingbenshan zhongguoren zhonghuarenmingongheguo beijinghuanyingni tiananmen changcheng maozhuxi dongfanghong
`

// The same in characters.
const hanzi = `
我爱你 我爱你一万年 我爱你中国 我爱中国 我爱我家 我想你 我喜欢你 爱你一生一世 一生一世 密码 我的密码 你好 你好吗 你好世界 谢谢 再见 宝宝 宝贝 老婆 老公 中国 中国人 中国加油 加油 北京
上海 广州 深圳 生日快乐 新年快乐 恭喜发财 万事如意 一帆风顺 心想事成 身体健康 好好学习 天天向上 平安 发财 招财进宝 床前明月光 疑是地上霜 举头望明月 低头思故乡 白日依山尽 黄河入海流
欲穷千里目 更上一层楼 春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 锄禾日当午 汗滴禾下土 谁知盘中餐 粒粒皆辛苦 人之初 性本善 天地玄黄 宇宙洪荒 千里之行始于足下 王者荣耀 英雄联盟 公司 会馆
客户 管理员 测试 登录 默认密码 一二三四五六七八九十 一二三四五 春夏秋冬 东南西北 甲乙丙丁
`

// Common families and given names of China.
const (
	families = `wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo zheng liang xie song tang deng han feng cao peng zeng
xiao tian dong pan yuan cai jiang yu du ye cheng wei su lv ding ren lu yao shen zhong`
	givens = `wei fang na min jing li qiang lei jun yang yong yan jie juan tao ming chao xiuying xia ping gang guiying hui ying hua yu xin peng fei
bo bin hao kai long jian xiaoming xiaohong weiwei fangfang lili tingting yuanyuan jingjing yangyang`
)

// Numbers that sound like a wish, and walks over the pad of digits.
const lucky = `
520520 5201314 52013145201314 1314520 1314521 5211314 13145201314 201314 7758521 7758258 1314 131420 584520 3344520 88888 168168 16888 168888 518518 518888
147258 147258369 258369 159357 159753 753951 789456 789456123 456123 321654 123321 1234321 112233 11223344 1122334455 123123 123123123 123456a 123456aa
123654 123698745 121212 131313 101010 232323 252525 696969 010203 01020304 102030 100200 456456 789789 321321 520131 110110 119119 10086 12306
`
