import { describe, expect, test } from "vitest";
import { networkCheck, parseNetwork } from "../src/index.ts";

describe("a network", () => {
  test.each([
    ["10.0.0.0/8", { address: "10.0.0.0", bits: 8, family: "ipv4" }],
    ["10.0.0.7", { address: "10.0.0.7", bits: 32, family: "ipv4" }],
    ["fd00::/8", { address: "fd00::", bits: 8, family: "ipv6" }],
    ["::1", { address: "::1", bits: 128, family: "ipv6" }],
  ])("%s is read", (text, network) => {
    expect(parseNetwork(text)).toEqual(network);
  });

  test.each([
    "",
    "10.0.0/8",
    "10.0.0.0/33",
    "fd00::/129",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "host",
  ])("%j is none", (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });

  test("has its addresses in either spelling, and nothing that is no address", () => {
    const networks = ["192.168.0.0/16", "fd00::/8"].flatMap((text) => parseNetwork(text) ?? []);
    const isInside = networkCheck(networks);
    const addresses = ["192.168.4.5", "::ffff:192.168.4.5", "fd12::1", "192.169.0.1", "fe80::1", "", "x"];
    expect(addresses.filter(isInside)).toEqual(["192.168.4.5", "::ffff:192.168.4.5", "fd12::1"]);
  });
});
