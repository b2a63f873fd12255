import { readFileSync } from "node:fs";
import type { AttachmentState } from "@nomq/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ATTACHMENTS_AT_MOST, byAttachment } from "../../src/metrics/attachments.ts";
import { METRICS } from "../../src/metrics/catalogue.ts";
import { exposition, type Metric } from "../../src/metrics/exposition.ts";
import { events, serving } from "./serving.ts";

interface Parsed {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads the text format as its specification says, and nothing else: every line must fit. */
function parse(text: string): { types: Map<string, string>; samples: Parsed[] } {
  expect(text === "" || text.endsWith("\n")).toBe(true);
  const types = new Map<string, string>();
  const samples: Parsed[] = [];
  let family = "";
  for (const line of text.split("\n").slice(0, -1)) {
    const [, help] = /^# HELP ([a-z_]+) [^\n]+$/.exec(line) ?? [];
    const [, typed, type = ""] = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line) ?? [];
    if (help !== undefined) {
      // Each family once, its samples together.
      expect(types.has(help)).toBe(false);
      family = help;
    } else if (typed !== undefined) {
      expect(typed).toBe(family);
      types.set(typed, type);
    } else samples.push(sampleIn(line, family));
  }
  return { types, samples };
}

function sampleIn(line: string, family: string): Parsed {
  const [, name = "", braces = "", number = ""] =
    /^([a-z_]+)(?:\{(.*)\})? (-?[\d.]+(?:e[+-]?\d+)?)$/su.exec(line) ?? [];
  expect(name, line).toBe(family);
  const labels: Record<string, string> = {};
  let rest = braces;
  while (rest !== "") {
    const [pair = "", label = "", value = ""] =
      /^([a-z_]+)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/su.exec(rest) ?? [];
    expect(pair, line).not.toBe("");
    expect(label in labels).toBe(false);
    labels[label] = value.replace(/\\(.)/gs, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
    rest = rest.slice(pair.length);
  }
  return { name, labels, value: Number(number) };
}

const sum = (samples: readonly Parsed[]): number => samples.reduce((all, { value }) => all + value, 0);

const REAL = "nomq: { listen: ['udp://127.0.0.1:0'] }\nmqtt: { listen: ['mqtt://127.0.0.1:0'] }\n";

describe("GET /metrics", () => {
  test("has the names that others rely on, and every sample fits the format", async () => {
    await using it = await serving(REAL);
    await it.ask("/api/v1/publish", { method: "POST", body: { channel: "a/#" } });
    const { body, headers } = await it.ask("/metrics");
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const { types, samples } = parse(String(body));
    expect([...types]).toEqual(
      expect.arrayContaining([
        ["nomq_accepted_total", "counter"],
        ["nomq_outcomes_total", "counter"],
        ["nomq_pending", "gauge"],
        ["nomq_ingress_refused_total", "counter"],
        ["nomq_packets_rejected_total", "counter"],
      ]),
    );
    const reasons = samples
      .filter(({ name }) => name === "nomq_packets_rejected_total")
      .map(({ labels }) => labels["reason"]);
    expect(reasons).toEqual([
      "malformed",
      "bad-mac",
      "replay",
      "stale",
      "clock-unknown",
      "unknown-channel",
      "own",
      "limited",
    ]);
    expect(samples).toContainEqual({
      name: "nomq_ingress_refused_total",
      labels: { protocol: "http", reason: "channel-invalid" },
      value: 1,
    });
    expect(samples).toContainEqual({ name: "nomq_ready", labels: {}, value: 1 });
    expect(samples).toContainEqual({
      name: "nomq_bridge_state",
      labels: { bridge: "mqtt", state: "ready" },
      value: 1,
    });
    const resident = samples.find(({ name }) => name === "nomq_process_resident_memory_bytes");
    expect(resident?.value).toBeGreaterThan(10_000_000);
  });

  test("accepted is the sum of outcomes and pending, also of streams that have ended", async () => {
    await using it = await serving();
    for (const count of [3, 2]) {
      await using reader = await events(`${it.url}/api/v1/stream`);
      await reader.next();
      for (let at = 0; at < count; at += 1) {
        await it.ask("/api/v1/publish", { method: "POST", body: { channel: "a", payload: "x", qos: 1 } });
        await reader.next();
      }
    }
    const read = async () => {
      const { samples } = parse(String((await it.ask("/metrics")).body));
      const of = (name: string) =>
        sum(samples.filter((each) => each.name === name && each.labels["attachment"] === "api:stream"));
      return {
        accepted: of("nomq_accepted_total"),
        outcomes: of("nomq_outcomes_total"),
        pending: of("nomq_pending"),
        streams: sum(samples.filter(({ name }) => name === "nomq_http_streams")),
      };
    };
    await expect.poll(read).toEqual({ accepted: 5, outcomes: 5, pending: 0, streams: 0 });
  });

  test("every metric is told in docs/metrics.md as it is, and no other is", () => {
    const page = readFileSync(new URL("../../../../docs/metrics.md", import.meta.url), "utf8");
    const told = page.split("\n").filter((line) => line.startsWith("| `nomq_"));
    const made = METRICS.map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
    );
    expect(told.toSorted()).toEqual(made.toSorted());
  });

  test("names are the format's, counters end in _total, and no label is one that Prometheus keeps for itself", () => {
    for (const { name, type, labels, help } of METRICS) {
      expect(name).toMatch(/^nomq_[a-z_]+$/);
      expect(name.endsWith("_total")).toBe(type === "counter");
      expect(help).not.toContain("\n");
      for (const label of labels) expect(label).not.toMatch(/^(__.*|job|instance|le)$/);
    }
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
  });
});

describe("hostile names", () => {
  const metric: Metric<readonly (readonly [string, number])[]> = {
    name: "nomq_x_total",
    type: "counter",
    help: "x",
    labels: ["a"],
    read: (pairs) => pairs.map(([label, value]) => [[label], value]),
  };

  test("any text comes back as it was, cut, and begins no sample of its own", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom('"} 1\nevil 1', "\\", "\\\n", '\\"', "\ud800"),
    );
    const check = fc.property(fc.uniqueArray(text, { maxLength: 5 }), (names) => {
      const { samples } = parse(
        exposition(
          [metric],
          names.map((each) => [each, 1] as const),
        ),
      );
      const cut = new Set(names.map((each) => each.slice(0, 256).toWellFormed()));
      expect(new Set(samples.map(({ labels }) => labels["a"]))).toEqual(cut);
      expect(sum(samples)).toBe(names.length);
    });
    fc.assert(check, { numRuns: process.env["NOMQ_LONG"] ? 10_000 : 100, seed: 11 });
  });

  test("names that are cut to the same text are one sample: a second one would spoil the whole page", () => {
    const name = "x".repeat(256);
    expect(
      parse(
        exposition(
          [metric],
          [
            [`${name}1`, 1],
            [`${name}2`, 2],
          ],
        ),
      ).samples,
    ).toMatchObject([{ value: 3 }]);
  });

  test("attachments beyond the bound count together", () => {
    const states = Array.from(
      { length: ATTACHMENTS_AT_MOST + 50 },
      (_, at) => ({ name: `nomq:${at}` }) as AttachmentState,
    );
    const samples = byAttachment(states, () => [[[], 1]]);
    const labels = new Set(samples.map(([[label]]) => label));
    expect(labels.size).toBe(ATTACHMENTS_AT_MOST + 1);
    expect(samples.filter(([[label]]) => label === "(other)")).toHaveLength(50);
  });
});
