import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { isGroupHost, listenUrl, parseEndpoint, parseListen } from "../src/address.ts";

describe("addresses", () => {
  test.each([
    ["10.0.0.7:9001", { host: "10.0.0.7", port: 9001 }],
    ["[2001:DB8:0:0::7]:1", { host: "2001:db8::7", port: 1 }],
    ["[::ffff:10.0.0.7]:9001", { host: "10.0.0.7", port: 9001 }],
    ["[fe80::1%eth0]:5", { host: "fe80::1%eth0", port: 5 }],
    ["[FE80:0::1%eth0.7]:5", { host: "fe80::1%eth0.7", port: 5 }],
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
    for (const url of ["udp://0.0.0.0:8888", "udp://[::]:0", "udp://[fe80::1%br-lan]:9"]) {
      expect(listenUrl(parseListen(url))).toBe(url);
    }
  });

  test("a zone may be written as URLs escape it (RFC 6874), or by number", () => {
    expect(parseListen("udp://[fe80::1%25eth0]:9")).toEqual({ host: "fe80::1%eth0", port: 9 });
    const numbered = Object.entries(networkInterfaces()).flatMap(([name, all = []]) =>
      all.flatMap((one) => (one.family === "IPv6" && one.scopeid > 0 ? [[name, one.scopeid] as const] : [])),
    );
    for (const [name, zone] of numbered) {
      expect(parseEndpoint(`[fe80::1%${zone}]:9`)).toEqual({ host: `fe80::1%${name}`, port: 9 });
    }
    expect(parseEndpoint("[fe80::1%4000000]:9").host).toBe("fe80::1%4000000");
  });

  test.each([
    ["255.255.255.255", true],
    ["224.0.0.251", true],
    ["239.1.2.3", true],
    ["ff02::1%eth0", true],
    ["::ffff:255.255.255.255", true],
    ["192.168.1.255", false],
    ["240.0.0.1", false],
    ["fe80::ff%eth0", false],
    ["no address", false],
  ])("%s is for everybody who listens: %s", (host, expected) => {
    expect(isGroupHost(host)).toBe(expected);
  });
});
