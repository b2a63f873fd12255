import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Answered, events, type Serving, serving } from "./serving.ts";

const PAGE = readFileSync(new URL("../../../../docs/api.md", import.meta.url), "utf8");

/** The examples of the page, each with the configuration above it. */
function examples(): { config: string; text: string }[] {
  let config = "";
  return [...PAGE.matchAll(/^```(yaml|http)\n(.*?)^```$/gms)].flatMap(([, language, text = ""]) => {
    if (language === "yaml") config = text;
    return language === "http" ? [{ config, text }] : [];
  });
}

interface Example {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: string;
}

function read(text: string, id: string): Example {
  const [request = "", ...rest] = text.split("\n\n");
  const [first = "", ...lines] = request.split("\n");
  const [method = "", path = ""] = first.split(" ");
  const [, status = "", answer = ""] = /^(\d{3})\n(.*)$/s.exec(rest.join("\n\n")) ?? [];
  const headers = lines
    .filter((line) => /^[A-Z]\w+: /.test(line))
    .map((line) => line.split(": ") as [string, string]);
  return {
    method,
    path: path.replace("/ID", `/${id}`),
    headers: Object.fromEntries(headers),
    body: lines.find((line) => line.startsWith("{")),
    status: Number(status),
    answer: answer.trimEnd(),
  };
}

/** The page's value with what differs from time to time taken from the real one. */
function filled(told: unknown, real: unknown): unknown {
  if (told === "…") return expect.any(String);
  if (typeof told === "number" && told > 1e12) return expect.any(Number);
  if (typeof told !== "object" || told === null || typeof real !== "object" || real === null) return told;
  if (Array.isArray(told)) return told.map((each, at) => filled(each, Reflect.get(real, at)));
  return Object.fromEntries(
    Object.entries(told).map(([key, each]) => [key, filled(each, Reflect.get(real, key))]),
  );
}

async function runStream(it: Serving, example: Example): Promise<void> {
  await using stream = await events(`${it.url}${example.path}`, example.headers);
  expect(stream.status).toBe(example.status);
  for (const block of example.answer.split("\n\n")) {
    const [, event, data = ""] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
    const next = await stream.next();
    expect(next).toEqual({ event, data: filled(JSON.parse(data), next?.data) });
  }
}

const idOf = ({ body }: Answered): string | undefined => {
  const id: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "id") : undefined;
  return typeof id === "string" ? id : undefined;
};

test("every example of docs/api.md answers as the page says", async () => {
  const all = examples();
  expect(all.length).toBeGreaterThan(12);
  for (const config of new Set(all.map((each) => each.config))) {
    await using it = await serving(config);
    let id = "";
    for (const { text } of all.filter((each) => each.config === config)) {
      const example = read(text, id);
      if (example.answer.startsWith("event:")) {
        await runStream(it, example);
        continue;
      }
      const { method, path, headers, body } = example;
      const got = await it.ask(path, { method, headers, ...(body === undefined ? {} : { body }) });
      const told: unknown = JSON.parse(example.answer);
      expect({ path, status: got.status, body: got.body }).toEqual({
        path,
        status: example.status,
        body: filled(told, got.body),
      });
      if (got.status === 200) id = idOf(got) ?? id;
    }
  }
});

test("the page names every route and the scope that it needs", async () => {
  await using it = await serving();
  const { body } = await it.ask("/api/v1/openapi.json");
  // The document that another test checks.
  const { paths } = body as { paths: Record<string, Record<string, { description?: string }>> };
  const row = (path: string): string[] =>
    PAGE.split("\n").filter(
      (line) => /^\| (`(publish|subscribe|admin)`|one of|none)/.test(line) && line.includes(path),
    );
  for (const [path, operations] of Object.entries(paths)) {
    const said = path.replace(/\{(\w+)\}/, (_, name: string) => name.toUpperCase());
    const short = /^\/api\/v1\/(nomq|access)\//.exec(path)?.[0];
    const [line = ""] = row(short === undefined ? `${said}\`` : `${short}…`);
    for (const { description = "" } of Object.values(operations)) {
      const scopes = /scope (.*)\./.exec(description)?.[1]?.split(" or ") ?? ["none"];
      const told =
        scopes.length === 3
          ? "one of the three"
          : scopes.map((scope) => (scope === "none" ? scope : `\`${scope}\``)).join(" or ");
      expect({ path, line: line.startsWith(`| ${told} |`) }).toEqual({ path, line: true });
    }
  }
});
