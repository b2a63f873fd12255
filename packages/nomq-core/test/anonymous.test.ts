import { describe, expect, test } from "vitest";
import { admittingEntry, anonymousCheck, createRefusalLog, plainAddress } from "../src/index.ts";

describe("who may come without credentials", () => {
  test.each([
    ["loopback", "127.0.0.1", true],
    ["loopback", "127.8.9.1", true],
    ["loopback", "::1", true],
    ["loopback", "::ffff:127.0.0.1", true],
    ["loopback", "192.168.1.4", false],
    ["loopback", "::ffff:192.168.1.4", false],
    ["loopback", "fe80::1", false],
    ["loopback", "", false],
    ["none", "127.0.0.1", false],
    [["192.168.0.0/16"], "192.168.3.4", true],
    [["192.168.0.0/16"], "::ffff:192.168.3.4", true],
    [["192.168.0.0/16"], "127.0.0.1", false],
    [["fd00::/8", "10.1.2.3"], "fd12::1", true],
    [["fd00::/8", "10.1.2.3"], "10.1.2.3", true],
    [["fd00::/8", "10.1.2.3"], "10.1.2.4", false],
  ] as const)("%s and %s: %s", (rule, address, admitted) => {
    expect(anonymousCheck(rule, "x")(address)).toBe(admitted);
  });

  test("a network that is none is refused, naming the key", () => {
    expect(() => anonymousCheck(["10.0.0.0/33"], "coap.listen[1]")).toThrow(
      /config-invalid.*coap\.listen\[1\]\.anonymous: 10\.0\.0\.0\/33/,
    );
  });

  test("the entry that is advised admits the refused address, and its neighbour not", () => {
    expect(admittingEntry("coap://[::]:5683", "::ffff:10.1.2.3")).toBe(
      '- { url: "coap://[::]:5683", anonymous: ["10.1.2.3/32"] }',
    );
    expect(admittingEntry("coap://[::]:5683", "fd00::7")).toContain('["fd00::7/128"]');
    expect(anonymousCheck(["10.1.2.3/32"], "x")("10.1.2.4")).toBe(false);
  });

  test("IPv4 of a dual-stack socket is said as IPv4", () => {
    expect(["::ffff:10.1.2.3", "10.1.2.3", "fd00::7"].map(plainAddress)).toEqual([
      "10.1.2.3",
      "10.1.2.3",
      "fd00::7",
    ]);
  });
});

describe("the log of refusals", () => {
  function said(clients: number): unknown[] {
    const lines: unknown[] = [];
    const keep = (_text: string, details?: unknown): void => void lines.push(details);
    const log = { debug: keep, info: keep, warn: keep, error: keep };
    const advice = { anonymous: (address: string, url: string): string => admittingEntry(url, address) };
    const refusals = createRefusalLog({ log, said: "refused", advice });
    for (let at = 0; at < clients; at += 1)
      for (let again = 0; again < 2; again += 1)
        refusals.say("anonymous", {
          address: `10.0.${at >> 8}.${at & 255}`,
          listener: { url: "coap://x:1" },
        });
    return lines;
  }

  test("says each client once, with the line that would admit it", () => {
    expect(said(1)).toEqual([
      {
        reason: "anonymous",
        address: "10.0.0.0",
        listener: "coap://x:1",
        admit: '- { url: "coap://x:1", anonymous: ["10.0.0.0/32"] }',
      },
    ]);
  });

  test("is bounded", () => {
    expect(said(5_000)).toHaveLength(1_000);
  });
});
