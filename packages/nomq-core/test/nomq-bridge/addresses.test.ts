import { describe, expect, test } from "vitest";
import { listenUrl, parseEndpoint, parseListen } from "../../src/nomq-bridge/addresses.ts";

describe("addresses", () => {
  test.each([
    ["10.0.0.7:9001", { host: "10.0.0.7", port: 9001 }],
    ["[2001:DB8:0:0::7]:1", { host: "2001:db8::7", port: 1 }],
    ["[::ffff:10.0.0.7]:9001", { host: "10.0.0.7", port: 9001 }],
    ["[fe80::1%eth0]:5", { host: "fe80::1%eth0", port: 5 }],
    ["localhost:0", { host: "127.0.0.1", port: 0 }],
  ])("%s is read in the spelling that datagrams use", (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
  });

  test.each([
    "",
    "10.0.0.7",
    "10.0.0.7:",
    "10.0.0.7:65536",
    "pump.local:1",
    "::1:5",
    "[10.0.0]:1",
    "1.2.3.4:x",
  ])('"%s" is refused', (text) => {
    expect(() => parseEndpoint(text)).toThrow(/config-invalid/);
  });

  test("a listener's URL reads back as it is written", () => {
    for (const url of ["udp://0.0.0.0:8888", "udp://[::]:0"]) expect(listenUrl(parseListen(url))).toBe(url);
  });
});
