import { describe, expect, test } from "vitest";
import { z } from "zod";
import { createApi } from "../../src/api/api.ts";
import { ALL_SCOPES } from "../../src/api/caller.ts";
import { routesOf } from "../../src/api/routes/routes.ts";
import { ACCESS, type Asked, events, type Serving, serving, TOKENS } from "./serving.ts";

/** As far as this test reads it. */
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object; readonly responses: Readonly<Record<string, Responding>> };
}
interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, Responding>>;
}
interface Responding {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

const SOURCES = {
  port: { onAccessChange: () => () => undefined },
  // Nothing is asked of them here.
} as unknown as Parameters<typeof routesOf>[0];
const ROUTES = routesOf(SOURCES);
const isError = (body: unknown): boolean => typeof body === "object" && body !== null && "error" in body;

const documentOf = async (it: Serving): Promise<Document> =>
  // What the gateway serves there; the tests below look at every part that they read.
  (await it.ask("/api/v1/openapi.json")).body as Document;

/** Checks a body against the document's own JSON Schema of that answer. */
function check(
  document: Document,
  operation: Operation,
  answer: { status: number; type: string; body: unknown },
): void {
  const said = operation.responses[String(answer.status)];
  expect(said, `${operation.operationId} documents ${answer.status}`).toBeDefined();
  const name = said?.$ref?.replace("#/components/responses/", "") ?? "";
  const content = (document.components.responses[name] ?? said)?.content ?? {};
  const schema = Object.entries(content).find(([type]) => answer.type.startsWith(type.split(";")[0] ?? ""));
  expect(schema, `${operation.operationId} documents ${answer.type}`).toBeDefined();
  const whole = { $defs: document.components.schemas, ...schema?.[1].schema };
  const local = JSON.parse(JSON.stringify(whole).replaceAll("#/components/schemas/", "#/$defs/"));
  const result = z.fromJSONSchema(local).safeParse(answer.body);
  expect(result.error?.issues, `${operation.operationId} ${answer.status}`).toBeUndefined();
}

/** A request for every route: to what is there, and to what is not or is not allowed. */
const REQUESTS: Readonly<
  Record<string, readonly (Asked & { readonly path: string; readonly status: number })[]>
> = {
  health: [{ path: "/healthz", status: 200 }],
  metrics: [{ path: "/metrics", status: 200 }],
  publish: [
    {
      path: "/api/v1/publish",
      method: "POST",
      body: { channel: "a/b", payload: "x", qos: 1, retain: true },
      status: 200,
    },
    {
      path: "/api/v1/publish",
      method: "POST",
      body: { channel: "a/b", payloadBase64: "/w==", until: "delivered" },
      status: 200,
    },
    { path: "/api/v1/publish", method: "POST", body: { channel: "a/#" }, status: 400 },
    { path: "/api/v1/publish", method: "POST", body: "{", status: 400 },
    {
      path: "/api/v1/publish",
      method: "POST",
      body: { channel: "a", payload: "x".repeat(1_100_000) },
      status: 413,
    },
  ],
  channels: [
    { path: "/api/v1/channels", status: 200 },
    { path: "/api/v1/channels?filter=a%23", status: 400 },
  ],
  latest: [
    { path: "/api/v1/channels/a%2Fb", status: 200 },
    { path: "/api/v1/channels/none", status: 404 },
  ],
  history: [
    { path: "/api/v1/history/a/b?last=5&since=0", status: 200 },
    { path: "/api/v1/history/a/b?last=0", status: 400 },
  ],
  receipt: [{ path: "/api/v1/receipts/none", status: 404 }],
  attachments: [{ path: "/api/v1/attachments", status: 200 }],
  nomqUnknown: [{ path: "/api/v1/nomq/unknown", status: 200 }],
  nomqNames: [{ path: "/api/v1/nomq/names", status: 200 }],
  nomqName: [
    {
      path: "/api/v1/nomq/names",
      method: "POST",
      body: { hash: "87010539", channel: "greenhouse/temperature" },
      status: 200,
    },
    {
      path: "/api/v1/nomq/names",
      method: "POST",
      body: { hash: "00000000", channel: "greenhouse/temperature" },
      status: 409,
    },
  ],
  nomqForgetName: [
    { path: "/api/v1/nomq/names/greenhouse%2Ftemperature", method: "DELETE", status: 200 },
    { path: "/api/v1/nomq/names/none", method: "DELETE", status: 404 },
  ],
  reloadAccess: [{ path: "/api/v1/access/reload", method: "POST", status: 409 }],
  explainAccess: [
    { path: "/api/v1/access/explain?who=anonymous&action=publish&channel=a", status: 200 },
    { path: "/api/v1/access/explain?who=anonymous", status: 400 },
  ],
  openApi: [{ path: "/api/v1/openapi.json", status: 200 }],
  log: [
    { path: "/api/v1/log?last=5", status: 200 },
    { path: "/api/v1/log?last=0", status: 400 },
  ],
  // Streams are read in tests of their own.
  stream: [{ path: "/api/v1/stream?filter=a%23", status: 400 }],
};

const LISTENERS =
  "nomq: { listen: ['udp://127.0.0.1:0'], devices: [{ name: pump, address: '127.0.0.1:9', subscribe: [x] }] }\nmqtt: { listen: ['mqtt://127.0.0.1:0'] }\n";

describe("the OpenAPI document", () => {
  test("is the one that is checked in; vitest -u writes it anew", async () => {
    await using it = await serving();
    const text = `${JSON.stringify(await documentOf(it), undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot("../../openapi.json");
  });

  test("has every route that is served, and no other", () => {
    const app = createApi({ ...SOURCES, caller: () => ({ principal: "token:test", scopes: ALL_SCOPES }) });
    const served = app.routes
      .filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{.*?\})?/g, "{$1}")}`);
    const told = ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(served.toSorted()).toEqual(told.toSorted());
  });

  test("says of every route what it answers", async () => {
    await using it = await serving(LISTENERS);
    const document = await documentOf(it);
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations.map(({ operationId }) => operationId).toSorted()).toEqual(
      Object.keys(REQUESTS).toSorted(),
    );
    for (const operation of operations) {
      for (const { path, status, ...asked } of REQUESTS[operation.operationId] ?? []) {
        const { headers, body, status: got } = await it.ask(path, asked);
        expect({ path, got }).toEqual({ path, got: status });
        check(document, operation, { status, type: headers.get("content-type") ?? "", body });
        // The document lets later versions add members; this one must not have any that it does not tell of.
        const { schema } = ROUTES.find(({ id }) => id === operation.operationId)?.answers[status] ?? {};
        const strict = schema === undefined || isError(body) ? undefined : schema.safeParse(body).error;
        expect({ path, issues: strict?.issues }).toEqual({ path, issues: undefined });
      }
    }
  });

  test("says what a receipt and a stream are", async () => {
    await using it = await serving();
    const document = await documentOf(it);
    const operation = (path: string): Operation => {
      const found = document.paths[path]?.["get"];
      if (found === undefined) throw new Error(`no ${path}`);
      return found;
    };
    await using stream = await events(`${it.url}/api/v1/stream?filter=a`);
    expect(await stream.next()).toMatchObject({ event: "ready" });
    const { body } = await it.ask("/api/v1/publish", {
      method: "POST",
      body: { channel: "a", payload: "x", qos: 1 },
    });
    const { id } = body as { id: string };
    const message = await stream.next();
    check(document, operation("/api/v1/stream"), {
      status: 200,
      type: "text/event-stream",
      body: message?.data,
    });
    const receipt = await it.ask(`/api/v1/receipts/${id}`);
    check(document, operation("/api/v1/receipts/{id}"), {
      status: 200,
      type: "application/json",
      body: receipt.body,
    });
    await using followed = await events(`${it.url}/api/v1/receipts/${id}?follow`);
    check(document, operation("/api/v1/receipts/{id}"), {
      status: 200,
      type: "application/json",
      body: (await followed.next())?.data,
    });
  });

  test("says which scope each route needs: a token without it gets 403, no token 401", async () => {
    await using it = await serving(ACCESS, "{ url: 'http://127.0.0.1:0', anonymous: none }");
    const document = (await it.ask("/api/v1/openapi.json", { token: TOKENS.reader })).body as Document;
    const scopes = new Map(
      Object.entries({ publish: TOKENS.writer, subscribe: TOKENS.reader, admin: TOKENS.admin }),
    );
    for (const each of ROUTES) {
      const path = each.path.replace("{channel}", "open/x").replace("{id}", "none");
      const operation = document.paths[each.path]?.[each.method];
      if (operation === undefined) throw new Error(`${each.path} is not told`);
      const anonymous = await it.ask(path, { method: each.method.toUpperCase() });
      expect({ path, status: anonymous.status }).toEqual({ path, status: 401 });
      check(document, operation, { status: 401, type: "application/json", body: anonymous.body });
      for (const [scope, token] of scopes) {
        if (each.scopes.length === 0 || each.id === "stream" || each.scopes.some((one) => one === scope))
          continue;
        const { status, body, headers } = await it.ask(path, { method: each.method.toUpperCase(), token });
        expect({ path, scope, status }).toEqual({ path, scope, status: 403 });
        expect(headers.get("www-authenticate")).toContain("insufficient_scope");
        check(document, operation, { status, type: "application/json", body });
      }
    }
  });
});
