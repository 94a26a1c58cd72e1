// A tour of the API with the generated client: what does not match the OpenAPI
// document does not compile, or fails here.
import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";
import { events } from "./events.js";
import { check, defined, equal, eventually, ok, refused } from "./expect.js";

type Schemas = components["schemas"];
type Problem = Schemas["Problem"];

const baseUrl = defined(process.env.GUILDHALL_URL, "GUILDHALL_URL").replace(/\/$/, "");
const password = defined(process.env.GUILDHALL_PASSWORD, "GUILDHALL_PASSWORD");
const newPassword = process.env.GUILDHALL_NEW_PASSWORD;
const organization = process.env.GUILDHALL_ORGANIZATION ?? "guildhall";
const identifier = process.env.GUILDHALL_ACCOUNT ?? `organizations/${organization}/staff/admin`;

const api = createClient<paths>({ baseUrl });
const run = Date.now().toString(36); // makes names new on each tour
const path = { organization };
let token = "";
const authorization = () => ({ Authorization: `Bearer ${token}` });

api.use({
  onRequest({ request }) {
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
});

async function login(): Promise<string> {
  const body = { organization: `organizations/${organization}`, identifier };
  const wrong = await api.POST("/identity/v1/sessions:login", {
    body: { ...body, password: "not the password at all" }, headers: { "Accept-Language": "zh-CN" },
  });
  refused(wrong, 401, "LOGIN_FAILED");
  equal(wrong.error?.title, "登录失败", "title of a failed login");
  const tokens = ok(await api.POST("/identity/v1/sessions:login", { body: { ...body, password, newPassword } }), "login");
  token = defined(tokens.accessToken, "accessToken");
  equal(tokens.tokenType, "Bearer", "tokenType");
  const me = ok(await api.GET("/identity/v1/me"), "me");
  equal(me.organization, body.organization, "organization of the caller");
  return defined(tokens.refreshToken, "refreshToken");
}

async function customers(): Promise<void> {
  const collection = "/identity/v1/organizations/{organization}/customers";
  const create = () => api.POST(collection, {
    params: { path, query: { customerId: `c-${run}` } },
    body: { displayName: "王小明", email: `${run}@example.com`, country: "CN" },
    headers: { "Idempotency-Key": `create-${run}` },
  });
  const created = ok(await eventually(create), "create a customer");
  equal(created.name, `organizations/${organization}/customers/c-${run}`, "name of the customer");
  equal(ok(await create(), "create it again").name, created.name, "name of a repeated creation");

  const one = { ...path, customer: `c-${run}` };
  const item = "/identity/v1/organizations/{organization}/customers/{customer}";
  const read = await api.GET(item, { params: { path: one } });
  equal(ok(read, "get the customer").displayName, "王小明", "name of the customer that was read");
  const etag = defined(read.response.headers.get("etag") ?? undefined, "ETag");
  const again = await api.GET(item, { params: { path: one }, headers: { "If-None-Match": etag } });
  equal(again.response.status, 304, "status of an unchanged customer");

  const stale = await api.PATCH(item, { params: { path: one }, body: { country: "FR" }, headers: { "If-Match": '"stale"' } });
  refused(stale, 412, "ETAG_MISMATCH");
  const { attributes: _, ...rest } = ok(read, "get the customer"); // what is not sent stays as it is
  const changed = ok(await api.PATCH(item, {
    params: { path: one }, body: { ...rest, country: "FR" }, headers: { "If-Match": etag },
  }), "change the customer");
  equal([changed.country, changed.displayName], ["FR", "王小明"], "the changed customer");

  const page = ok(await api.GET(collection, { params: { path, query: { pageSize: 1 } } }), "list customers");
  equal(page.customers?.length, 1, "customers of a page of one");
  const missing = await api.GET(item, { params: { path: { ...path, customer: "nobody" } } });
  refused(missing, 404, "CUSTOMER_NOT_FOUND");
}

async function refusals(): Promise<void> {
  const url = `${baseUrl}/identity/v1/organizations/${organization}/customers`;
  const send = (init: RequestInit) => fetch(url, { method: "POST", ...init, headers: { ...authorization(), ...init.headers } });
  const json = { "Content-Type": "application/json" };
  for (const [init, status, reason] of [
    [{ body: '{"nickname":"x"}', headers: json }, 400, "JSON_FIELD_UNKNOWN"],
    [{ body: '{"displayName":', headers: json }, 400, "JSON_MALFORMED"],
    [{ body: "x", headers: { "Content-Type": "text/plain" } }, 415, "MEDIA_TYPE_UNSUPPORTED"],
    [{ method: "PUT" }, 405, "METHOD_NOT_ALLOWED"],
  ] as const) {
    const response = await send(init);
    refused({ response, error: await response.json() as Problem }, status, reason);
  }
}

async function imports(): Promise<void> {
  const csv = `CustomerID,Country\nx-${run}-1,France\nx-${run}-2,Italy\n`;
  const answer = await api.POST("/identity/v1/organizations/{organization}/customers:import", {
    params: { path, query: { columns: "CustomerID:externalId,Country:country" } },
    body: csv, bodySerializer: (body) => body, headers: { "Content-Type": "text/csv" }, parseAs: "text",
  });
  const text = ok({ ...answer, data: answer.data as unknown as string }, "import");
  const results = text.trim().split("\n").map((line) => JSON.parse(line) as Schemas["guildhall.identity.v1.ImportCustomersResponse"]);
  equal(results.map((r) => r.result), ["RESULT_CREATED", "RESULT_CREATED"], "results of the import");
}

async function chat(): Promise<void> {
  const group = `g-${run}`, at = { ...path, group };
  ok(await api.POST("/groupchat/v1/organizations/{organization}/groups", {
    params: { path, query: { groupId: group } }, body: { displayName: "新客户" },
  }), "create a group");
  for (const text of ["你好", "hello"]) {
    const sent = await eventually(() => api.POST("/groupchat/v1/organizations/{organization}/groups/{group}/messages", { params: { path: at }, body: { text } }));
    ok(sent, "send a message");
  }
  const list = ok(await api.GET("/groupchat/v1/organizations/{organization}/groups/{group}/messages", {
    params: { path: at, query: { orderBy: "sequence" } },
  }), "list messages");
  equal(list.messages?.map((m) => [m.sequence, m.text]), [["1", "你好"], ["2", "hello"]], "the messages");
  equal(await streamed(group, {}, 2), ["你好", "hello"], "the streamed messages");
  equal(await streamed(group, { "Last-Event-ID": "1" }, 1), ["hello"], "the messages after the first");
}

// streamed returns the texts of the first messages of a group's stream.
async function streamed(group: string, headers: Record<string, string>, count: number): Promise<string[]> {
  const stop = new AbortController();
  const response = await fetch(`${baseUrl}/groupchat/v1/organizations/${organization}/groups/${group}/messages:stream`, {
    headers: { ...authorization(), Accept: "text/event-stream", ...headers }, signal: AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]),
  });
  equal(response.headers.get("content-type"), "text/event-stream", "media type of a stream");
  const texts: string[] = [];
  for await (const event of events(response)) {
    const step = event.data as Schemas["guildhall.groupchat.v1.StreamMessagesResponse"];
    check(event.name !== "error", `the stream ends: ${JSON.stringify(event.data)}`);
    if (!step.message) continue;
    equal(event.id, step.message.sequence, "id of an event");
    texts.push(step.message.text ?? "");
    if (texts.length === count) break;
  }
  stop.abort();
  return texts;
}

async function feedback(): Promise<void> {
  const survey = `s-${run}`;
  const question = { questionId: "overall", text: "您满意吗？", kind: "KIND_CSAT", required: true } as const;
  const created = ok(await api.POST("/feedback/v1/organizations/{organization}/surveys", {
    params: { path, query: { surveyId: survey } }, body: { displayName: "满意度", questions: [question] },
  }), "create a survey");
  equal(created.state, "STATE_DRAFT", "state of a new survey");
  const published = ok(await api.POST("/feedback/v1/organizations/{organization}/surveys/{survey}:publish", {
    params: { path: { ...path, survey } }, body: {},
  }), "publish the survey");
  equal(published.state, "STATE_ACTIVE", "state of a published survey");
}

async function permissions(): Promise<void> {
  const role = ok(await api.POST("/permission/v1/organizations/{organization}/roles", {
    params: { path, query: { roleId: `r-${run}` } }, body: { displayName: "Reader", permissions: ["identity.customers.get"] },
  }), "create a role");
  equal(role.permissions, ["identity.customers.get"], "permissions of the role");
  const unknown = await api.POST("/permission/v1/organizations/{organization}/roles", {
    params: { path, query: { roleId: `q-${run}` } }, body: { displayName: "Nothing", permissions: ["identity.nothing.get"] },
  });
  refused(unknown, 400, "PERMISSION_UNKNOWN");
}

async function goodbye(refreshToken: string): Promise<void> {
  const fresh = ok(await api.POST("/identity/v1/sessions:refresh", { body: { refreshToken } }), "refresh");
  token = defined(fresh.accessToken, "accessToken");
  ok(await api.POST("/identity/v1/sessions:logout", { body: {} }), "logout");
  refused(await api.POST("/identity/v1/sessions:refresh", { body: { refreshToken: defined(fresh.refreshToken, "refreshToken") } }), 401, "REFRESH_TOKEN_INVALID");
}

const refreshToken = await login();
for (const part of [customers, refusals, imports, permissions, feedback, chat]) {
  await part();
  console.log(`${part.name}: as described`);
}
await goodbye(refreshToken);
console.log("the API is what its document says");
