// The docs page: reads the OpenAPI document of this server and shows its
// operations. Text of the document is only ever set as text, never as HTML.
"use strict";

const labels = {
  en: {
    other: "中文", search: "Search operations, paths, permissions", loading: "Loading…", failed: "The document cannot be loaded.",
    parameters: "Parameters", body: "Request body", answer: "Answer", curl: "Try it", copy: "Copy", copied: "Copied",
    path: "path", query: "query", required: "required", readOnly: "read only", list: "list of", map: "map of",
    public: "no login", authenticated: "any login", nothing: "Nothing matches.", anything: "any JSON",
    stream: "A stream: one JSON value per line, or server-sent events with Accept: text/event-stream.",
    intro: "Headers: Authorization: Bearer, Accept-Language, If-Match and ETag, Idempotency-Key, Guildhall-Approval, X-Request-Id, X-Request-Timeout. Errors are problem details (RFC 9457) with a stable reason. 64-bit integers are strings; fields at their default are left out.",
    services: { identity: "Identity", permission: "Permission", groupchat: "Group chat", feedback: "Feedback" },
  },
  zh: {
    other: "English", search: "搜索操作、路径或权限", loading: "正在加载…", failed: "无法加载接口文档。",
    parameters: "参数", body: "请求体", answer: "响应", curl: "试一试", copy: "复制", copied: "已复制",
    path: "路径", query: "查询", required: "必填", readOnly: "只读", list: "列表：", map: "映射：",
    public: "无需登录", authenticated: "登录即可", nothing: "没有匹配的操作。", anything: "任意 JSON",
    stream: "流式响应：每行一个 JSON；带 Accept: text/event-stream 时为 SSE 事件。",
    intro: "请求头：Authorization: Bearer、Accept-Language、If-Match 与 ETag、Idempotency-Key、Guildhall-Approval、X-Request-Id、X-Request-Timeout。错误为 RFC 9457 格式，reason 固定不变。64 位整数以字符串表示；取默认值的字段不返回。",
    services: { identity: "身份", permission: "权限", groupchat: "群聊", feedback: "反馈" },
  },
};

let language = startLanguage();
let api;
let permissions = {};
const $ = (id) => document.getElementById(id);
const t = () => labels[language];

function startLanguage() {
  const wanted = new URLSearchParams(location.search).get("lang") || localStorage.getItem("language") || navigator.language;
  return wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
}

// make creates an element with a class, text and children.
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.filter((c) => c !== undefined && c !== null && c !== ""));
  return element;
}

const resolve = (schema) => schema && schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
const nameOf = (schema) => schema.$ref ? schema.$ref.split(".").pop() : "";
const merged = (schema) => schema && schema.allOf && schema.allOf.length === 1 ? schema.allOf[0] : schema;

function typeOf(raw) {
  const schema = merged(raw), real = resolve(schema);
  if (!real) return t().anything;
  if (real.type === "array") return t().list + " " + typeOf(real.items || {});
  if (real.enum) return real.enum.filter((v) => !String(v).endsWith("_UNSPECIFIED")).join(" | ");
  if (real.type === "object" && typeof real.additionalProperties === "object") return t().map + " " + typeOf(real.additionalProperties);
  return nameOf(schema) || [real.type, real.format].filter(Boolean).join(" ") || t().anything;
}

// fieldsOf returns the object schema that a value of the schema holds, if any.
function fieldsOf(raw) {
  const real = resolve(merged(raw));
  if (!real) return undefined;
  if (real.type === "array") return fieldsOf(real.items || {});
  return real.properties ? real : undefined;
}

// tree shows the fields of a schema; those of a request leave out what only
// the server sets.
function tree(schema, depth, above, request) {
  const real = fieldsOf(schema), box = make("div", "tree");
  if (!real) {
    box.append(make("div", "", make("code", "", typeOf(schema))));
    return box;
  }
  for (const [name, field] of Object.entries(real.properties)) {
    if (request && field.readOnly) continue;
    const inner = fieldsOf(field);
    const head = [make("code", "", name), " ", make("small", "", typeOf(field) + (field.readOnly ? " · " + t().readOnly : ""))];
    const about = field.description ? make("div", "", make("small", "", joined(field.description))) : "";
    if (inner && depth < 5 && !above.includes(inner)) {
      const details = make("details", "", make("summary", "", ...head), about);
      details.addEventListener("toggle", () => {
        if (details.open && !details.dataset.filled) {
          details.dataset.filled = "1";
          details.append(tree(field, depth + 1, [...above, inner], request));
        }
      });
      box.append(details);
    } else {
      box.append(make("div", "", ...head, about));
    }
  }
  return box;
}

function example(raw, depth) {
  const schema = merged(raw), real = resolve(schema);
  if (!real || depth > 4) return {};
  if (real.enum) return real.enum.find((v) => !String(v).endsWith("_UNSPECIFIED")) || real.enum[0];
  if (real.type === "array") return [example(real.items || {}, depth + 1)];
  if (real.type === "boolean") return true;
  if (real.type === "integer" || real.type === "number") return 1;
  if (real.format === "date-time") return "2026-01-31T08:00:00Z";
  if (real.format === "int64" || real.format === "uint64") return "1";
  if (real.type === "string") return "…";
  const value = {};
  for (const [name, field] of Object.entries(real.properties || {})) {
    if (!field.readOnly && name !== "etag" && name !== "name" && name !== "requestId") value[name] = example(field, depth + 1);
  }
  return value;
}

const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

function curl(path, verb, op) {
  const url = location.origin + path.replace(/\{(\w+)\}/g, (_, name) => name === "organization" ? "acme" : name.toUpperCase());
  const answer = op.responses && op.responses["200"] && op.responses["200"].content;
  const parts = ["curl " + (answer && answer["application/x-ndjson"] ? "-N " : "") + (verb === "get" ? "" : "-X " + verb.toUpperCase() + " ") + quoted(url)];
  if (permissions[op.operationId] !== "public") parts.push('-H "Authorization: Bearer $TOKEN"');
  const content = op.requestBody && op.requestBody.content;
  if (content && content["application/json"]) {
    parts.push("-H 'Content-Type: application/json'", "-d " + quoted(JSON.stringify(example(content["application/json"].schema, 0))));
  } else if (content) {
    parts.push("-H " + quoted("Content-Type: " + Object.keys(content)[0]), "-T customers.csv");
  }
  return parts.join(" \\\n  ");
}

function operation(path, verb, op) {
  const need = permissions[op.operationId];
  const name = make("span", "path");
  for (const part of path.split(/(\{\w+\})/)) name.append(part.startsWith("{") ? make("i", "", part) : part);
  const details = make("details", "op", make("summary", "",
    make("span", "verb " + verb, verb.toUpperCase()), name,
    need ? make("span", "chip", t()[need] || need) : "",
    make("span", "say", firstSentence(op.summary))));
  details.id = op.operationId;
  details.dataset.text = [path, op.operationId, need, op.summary, op.description].join(" ").toLowerCase();
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    history.replaceState(null, "", "#" + op.operationId);
    if (details.children.length === 1) details.append(contents(path, verb, op));
  });
  return details;
}

// joined undoes the line breaks of a source file and keeps paragraphs.
const joined = (text) => (text || "").replace(/([^\n])\n(?=[^\n])/g, "$1 ");
const firstSentence = (text) => (text || "").replace(/\s+/g, " ").replace(/ ?Reasons:.*$/, "").replace(/(\. ).*$/, ".");

function contents(path, verb, op) {
  const body = make("div", "body", make("p", "text", joined([op.summary, op.description].filter(Boolean).join("\n\n"))));
  if (op.parameters && op.parameters.length) {
    const table = make("table");
    for (const p of op.parameters) {
      const notes = [t()[p.in] || p.in, typeOf(p.schema || {}), p.required ? t().required : ""].filter(Boolean).join(" · ");
      table.append(make("tr", "", make("td", "", make("code", "", p.name), make("small", "", notes)), make("td", "", joined(p.description))));
    }
    body.append(make("h3", "", t().parameters), table);
  }
  const sent = op.requestBody && Object.entries(op.requestBody.content)[0];
  if (sent) body.append(make("h3", "", t().body + " · " + sent[0]), tree(sent[1].schema || {}, 0, [], true));
  const ok = op.responses && op.responses["200"];
  const types = ok && ok.content ? Object.entries(ok.content) : [];
  if (types.length) {
    const streams = types.some(([type]) => type !== "application/json");
    body.append(make("h3", "", t().answer + " · " + types.map(([type]) => type).join(", ")),
      streams ? make("p", "text", make("small", "", t().stream)) : "", tree(types[0][1].schema || {}, 0, [], false));
  }
  body.append(make("h3", "", t().curl), copyable(curl(path, verb, op)));
  return body;
}

function copyable(text) {
  const button = make("button", "copy", t().copy);
  button.type = "button";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = t().copied;
    } catch {
      getSelection().selectAllChildren(button.previousSibling); // no clipboard without https
    }
  });
  return make("div", "curl", make("pre", "", text), button);
}

// grouped returns the operations of each tag, the tags of each service.
function grouped() {
  const services = new Map(Object.keys(labels.en.services).map((s) => [s, new Map()]));
  for (const [path, item] of Object.entries(api.paths)) {
    const first = path.split("/")[1], service = services.has(first) ? first : "identity"; // .well-known
    for (const [verb, op] of Object.entries(item)) {
      const tag = (op.tags || ["other"])[0], tags = services.get(service);
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push([path, verb, op]);
    }
  }
  return services;
}

function render() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  $("search").placeholder = t().search;
  $("search").setAttribute("aria-label", t().search);
  $("language").textContent = t().other;
  if (!api) {
    $("main").replaceChildren(make("p", "", t().loading));
    return;
  }
  $("version").textContent = api.info.version;
  const nav = $("nav"), main = $("main");
  nav.replaceChildren();
  main.replaceChildren(make("p", "intro", t().intro));
  for (const [service, tags] of grouped()) {
    if (tags.size) nav.append(make("b", "", t().services[service] || service));
    for (const [tag, operations] of tags) {
      const title = tag.replace(/Service$/, "").replace(/(?<=[a-z])(?=[A-Z])/g, " ");
      const link = make("a", "", title);
      link.href = "#" + tag;
      nav.append(link);
      const about = (api.tags || []).find((a) => a.name === tag);
      const section = make("section", "", make("h2", "", title), make("p", "about", about ? joined(about.description) : ""));
      section.id = tag;
      section.append(...operations.map((o) => operation(...o)));
      main.append(section);
    }
  }
  main.append(Object.assign(make("p", "intro", t().nothing), { id: "nothing" }));
  filter();
  openHash();
}

function filter() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const section of document.querySelectorAll("main section")) {
    let shown = false;
    for (const op of section.querySelectorAll("details.op")) {
      op.hidden = !words.every((w) => op.dataset.text.includes(w));
      shown = shown || !op.hidden;
    }
    section.hidden = !shown;
    any = any || shown;
  }
  const nothing = $("nothing");
  if (nothing) nothing.hidden = any;
}

function openHash() {
  const target = location.hash && $(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

async function load(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(url + ": " + answer.status);
  return answer.json();
}

$("search").value = new URLSearchParams(location.search).get("q") || "";
$("search").addEventListener("input", filter);
addEventListener("hashchange", openHash);
$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  render();
});
render();
Promise.all([load("/openapi.json"), load("/docs/permissions.json")]).then(([document, needed]) => {
  api = document;
  permissions = needed;
  render();
}).catch(() => $("main").replaceChildren(make("p", "", t().failed)));
