import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { type Serving, sendRaw, serving } from "./serving.ts";

const PAGE = "https://dash.example";
const WITH_PAGE = `{ url: 'http://127.0.0.1:0', origins: ['${PAGE}'] }`;

/** The status of a request with these header lines; `fetch` sets some of them itself. */
async function statusWith(it: Serving, lines: readonly string[], request = "GET /healthz"): Promise<number> {
  const host = lines.some((line) => /^host:/i.test(line)) ? [] : [`Host: 127.0.0.1:${it.port}`];
  const head = [`${request} HTTP/1.1`, ...host, ...lines, "Connection: close"].join("\r\n");
  const answer = await sendRaw(it.port, `${head}\r\n\r\n`);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

describe("Host: a name that may be pointed at us is not ours (DNS rebinding)", () => {
  test.each([
    "127.0.0.1",
    "127.0.0.1:1",
    "[::1]:8080",
    "192.168.1.9",
    "localhost",
    "LOCALHOST:9",
    hostname(),
  ])("%s is", async (host) => {
    await using it = await serving();
    expect(await statusWith(it, [`Host: ${host}`])).toBe(200);
  });

  test.each([
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1/evil",
    "127.0.0.1#",
    "127.0.0.1\\@evil.example",
    "",
    "[",
    "%6c",
  ])("%j is not", async (host) => {
    await using it = await serving();
    expect(await statusWith(it, [`Host: ${host}`])).toBe(403);
  });

  test("the host of one of `origins` is ours", async () => {
    await using it = await serving("", WITH_PAGE);
    expect(await statusWith(it, ["Host: dash.example"])).toBe(200);
    expect(await statusWith(it, ["Host: other.example"])).toBe(403);
  });

  test("HTTP/1.1 without Host, or with two, is 400", async () => {
    await using it = await serving();
    for (const lines of ["", "Host: 127.0.0.1\r\nHost: evil.example\r\n"]) {
      const answer = await sendRaw(it.port, `GET /healthz HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(await sendRaw(it.port, "GET /healthz HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe("Origin: programs may ask, pages of others may not", () => {
  test("none, and our own, may", async () => {
    await using it = await serving();
    expect(await statusWith(it, [])).toBe(200);
    expect(await statusWith(it, [`Origin: http://127.0.0.1:${it.port}`])).toBe(200);
    expect(await statusWith(it, ["Host: localhost:9", "Origin: http://localhost:9"])).toBe(200);
  });

  test.each([
    "https://evil.example",
    "null",
    "http://127.0.0.1",
    "http://localhost:1",
    "https://127.0.0.1:PORT",
    "",
  ])("%j may not, and nothing is published", async (origin) => {
    await using it = await serving();
    const said = origin.replace("PORT", String(it.port));
    const body = JSON.stringify({ channel: "a", payload: "x", retain: true });
    const answer = await it.ask("/api/v1/publish", {
      method: "POST",
      headers: { origin: said, "content-type": "text/plain" },
      body,
    });
    expect(answer).toMatchObject({ status: 403, body: { error: { code: "origin-foreign" } } });
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    expect((await it.ask("/api/v1/channels")).body).toEqual([]);
  });

  test("one of `origins` may, and its page may read the answer (CORS)", async () => {
    await using it = await serving("", WITH_PAGE);
    const { status, headers } = await it.ask("/healthz", { headers: { origin: PAGE } });
    expect(status).toBe(200);
    expect(headers.get("access-control-allow-origin")).toBe(PAGE);
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    expect(headers.get("vary")).toBe("origin");
    const preflight = await it.ask("/api/v1/publish", {
      method: "OPTIONS",
      headers: { origin: PAGE, "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("authorization");
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
  });

  test("a preflight of another page is refused", async () => {
    await using it = await serving("", WITH_PAGE);
    const { status, headers } = await it.ask("/api/v1/publish", {
      method: "OPTIONS",
      headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
    });
    expect(status).toBe(403);
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  test("an image, a script or a frame of another site is refused; a link that is followed is not", async () => {
    await using it = await serving();
    const site = "Sec-Fetch-Site: cross-site";
    expect(await statusWith(it, [site, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"])).toBe(403);
    expect(await statusWith(it, [site, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"])).toBe(403);
    expect(await statusWith(it, [site, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"])).toBe(200);
    expect(await statusWith(it, ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"])).toBe(200);
    expect(await statusWith(it, ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"])).toBe(200);
  });
});

test("every answer, of whatever status, is neither kept nor guessed at nor framed", async () => {
  await using it = await serving();
  const asked = [
    ["/healthz", {}],
    ["/none", {}],
    ["/healthz", { headers: { origin: "https://evil.example" } }],
    ["/api/v1/publish", { method: "POST", body: "{" }],
  ] as const;
  for (const [path, options] of asked) {
    const { headers } = await it.ask(path, options);
    expect(Object.fromEntries(headers)).toMatchObject({
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    });
    expect(headers.get("x-powered-by")).toBeNull();
    expect(headers.get("server")).toBeNull();
  }
});
