import { request } from "node:https";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/index.ts";
import { testFolder } from "../launch.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { ACCESS, serving, TOKENS } from "./serving.ts";

const publish = (channel: string) => ({ method: "POST", body: { channel, payload: "x", retain: true } });

describe("without `access`", () => {
  test("a program on this machine may do everything", async () => {
    await using it = await serving();
    expect((await it.ask("/api/v1/publish", publish("a"))).status).toBe(200);
    expect((await it.ask("/api/v1/attachments")).status).toBe(200);
    expect((await it.ask("/metrics")).status).toBe(200);
  });

  test.each(["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])(
    "what a proxy on this machine passes on (%s) comes from elsewhere: 401",
    async (header) => {
      await using it = await serving();
      const answer = await it.ask("/healthz", { headers: { [header]: "198.51.100.7" } });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: "token-missing" } } });
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    },
  );

  test("anonymous: none lets nobody in; a network lets in who is in it", async () => {
    await using closed = await serving("", "{ url: 'http://127.0.0.1:0', anonymous: none }");
    for (const path of ["/healthz", "/metrics", "/api/v1/channels", "/api/v1/openapi.json"]) {
      expect((await closed.ask(path)).status).toBe(401);
    }
    await using other = await serving("", "{ url: 'http://127.0.0.1:0', anonymous: [10.0.0.0/8] }");
    expect((await other.ask("/healthz")).status).toBe(401);
    await using open = await serving("", "{ url: 'http://127.0.0.1:0', anonymous: [127.0.0.0/8] }");
    expect((await open.ask("/healthz")).status).toBe(200);
  });

  test("IPv6 loopback is this machine too, and so is IPv4 on a dual-stack socket", async () => {
    await using six = await serving("", "{ url: 'http://[::1]:0' }");
    expect((await six.ask("/healthz")).status).toBe(200);
    await using both = await serving("", "{ url: 'http://[::]:0' }");
    const four = await fetch(`http://127.0.0.1:${both.port}/healthz`);
    expect(four.status).toBe(200);
    await four.arrayBuffer();
  });

  test("a token that nobody gave out is refused, also on this machine", async () => {
    await using it = await serving();
    expect((await it.ask("/healthz", { token: TOKENS.admin })).status).toBe(401);
  });
});

describe("with `access`", () => {
  test("a token is held to its scopes and its rules", async () => {
    await using it = await serving(ACCESS);
    const as = (token: string, path: string, rest = {}): Promise<{ status: number; body: unknown }> =>
      it.ask(path, { token, ...rest });
    expect(await as(TOKENS.writer, "/api/v1/publish", publish("open/a"))).toMatchObject({ status: 200 });
    expect(await as(TOKENS.writer, "/api/v1/publish", publish("shut/a"))).toMatchObject({
      status: 403,
      body: { at: "refused", reason: "access" },
    });
    expect(await as(TOKENS.reader, "/api/v1/channels/open%2Fa")).toMatchObject({ status: 200 });
    expect(await as(TOKENS.reader, "/api/v1/channels/shut%2Fa")).toMatchObject({ status: 404 });
    expect(await as(TOKENS.reader, "/api/v1/history/shut%2Fa")).toMatchObject({ status: 403 });
    expect(await as(TOKENS.reader, "/api/v1/channels")).toMatchObject({ body: ["open/a"] });
    expect(await as(TOKENS.reader, "/metrics")).toMatchObject({ status: 200 });
    expect(await as(TOKENS.writer, "/metrics")).toMatchObject({ status: 403 });
    expect(await as(TOKENS.admin, "/api/v1/attachments")).toMatchObject({ status: 200 });
    expect(await as(TOKENS.admin, "/api/v1/publish", publish("open/a"))).toMatchObject({ status: 403 });
  });

  test("without a token, who the listener admits may do what rules say, and nothing of the gateway itself", async () => {
    await using it = await serving(`${ACCESS}    - { who: anonymous, subscribe: ["open/#"] }\n`);
    expect((await it.ask("/api/v1/publish", publish("open/a"))).status).toBe(403);
    expect((await it.ask("/api/v1/channels")).status).toBe(200);
    expect((await it.ask("/api/v1/attachments")).status).toBe(403);
    expect((await it.ask("/healthz")).status).toBe(200);
  });

  test("a receipt tells nobody of a channel that they may neither write nor read", async () => {
    await using it = await serving(`${ACCESS}    - { who: anonymous, publish: ["mine/#"] }\n`);
    const { body } = await it.ask("/api/v1/publish", publish("mine/a"));
    // A receipt, as the document says.
    const { id } = body as { id: string };
    expect((await it.ask(`/api/v1/receipts/${id}`)).status).toBe(200);
    expect((await it.ask(`/api/v1/receipts/${id}`, { token: TOKENS.reader })).status).toBe(404);
    expect((await it.ask(`/api/v1/receipts/${id}`, { token: TOKENS.admin })).status).toBe(200);
  });

  test.each([
    "Basic d3JpdGVyOng=",
    "Bearer",
    "Bearer a b",
    `bearer${TOKENS.reader}`,
    "Bearer grün",
    "Token x",
  ])("%j is no token: 401, and never anonymous", async (authorization) => {
    await using it = await serving(ACCESS);
    const header = Buffer.from(authorization, "utf8").toString("latin1");
    const { status, headers } = await it.ask("/healthz", { headers: { authorization: header } });
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
  });

  test("who guesses tokens must wait: 429 with Retry-After", async () => {
    await using it = await serving(ACCESS);
    const guess = (at: number): ReturnType<typeof it.ask> =>
      it.ask("/healthz", { token: `wrong-token-0123456789-${at}` });
    const statuses: number[] = [];
    for (let at = 0; at < 30; at += 1) statuses.push((await guess(at)).status);
    expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 401));
    const later = await guess(31);
    expect(later.status).toBe(429);
    expect(Number(later.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    const text = JSON.stringify(later.body);
    expect(text).toContain("too-many-failures");
    expect(text).not.toContain("wrong-token");
  });
});

describe("https", () => {
  test("serves with a certificate; a client's own, vouched for, is who it is", async () => {
    using folder = testFolder();
    const authority = makeCertificate("authority");
    const server = makeCertificate("server", authority);
    const pump = makeCertificate("pump", authority);
    const file = (name: string, text: string): string => folder.file(name, text);
    const files = `cert: ${file("server.pem", server.cert)}, key: ${file("server.key", server.key)}`;
    const tls = `{ ${files}, ca: ${file("authority.pem", authority.cert)}, clients: optional }`;
    const rules = 'access: { rules: [{ who: "cert:pump", publish: ["open/#"] }] }\n';
    await using it = await serving(rules, `{ url: 'https://127.0.0.1:0', anonymous: none, tls: ${tls} }`);
    expect(it.url).toMatch(/^https:/);
    const ask = (own: Certificate | undefined): Promise<number> =>
      new Promise((resolve, reject) => {
        const client = own === undefined ? {} : { cert: own.cert, key: own.key };
        const options = { method: "POST", ca: authority.cert, agent: false, ...client };
        const asking = request(`${it.url}/api/v1/publish`, options, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        });
        asking.once("error", reject);
        asking.end(JSON.stringify({ channel: "open/x", payload: "x" }));
      });
    expect(await ask(pump)).toBe(200);
    expect(await ask(undefined)).toBe(401);
    // It says the same name, and nobody vouches for it.
    expect(await ask(makeCertificate("pump"))).toBe(401);
  });

  test("files that are missing or do not fit end the start, naming the key", async () => {
    const listener = (tls: string): string => `{ url: 'https://127.0.0.1:0', tls: ${tls} }`;
    await expect(serving("", listener("{ cert: /none.pem, key: /none.key }"))).rejects.toThrow(
      /^config-invalid: http\.listen\[0\]\.tls\.cert: cannot read \/none\.pem \(ENOENT\)/,
    );
    const file = new URL(import.meta.url).pathname;
    await expect(serving("", listener(`{ cert: ${file}, key: ${file} }`))).rejects.toThrow(
      /^config-invalid: http\.listen\[0\]\.tls: the files do not fit/,
    );
  });

  test.each([
    ["{ url: 'https://[::]:1' }", "http.listen[0]: needs tls: { cert, key } for https://"],
    ["{ url: 'http://[::]:1', tls: { cert: a, key: b } }", "http.listen[0].tls: is for https://"],
  ])("%s is refused by the file's check", (listener, text) => {
    const config = (): unknown =>
      parseConfig({ name: "f", text: `http: { listen: [${listener}] }`, folder: "/" });
    expect(config).toThrow(text);
  });
});
