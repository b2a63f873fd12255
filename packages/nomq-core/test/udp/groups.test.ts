import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { type Endpoint, openUdpTransport, type Transport } from "../../src/index.ts";

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => isIPv6(address)));

/** The next datagram as text, with its sender. */
function next(transport: Transport): Promise<{ text: string; from: Endpoint }> {
  return new Promise((resolve) => {
    transport.onDatagram((datagram, from) => resolve({ text: Buffer.from(datagram).toString(), from }));
  });
}

describe("UDP to everybody", () => {
  test.each(["0.0.0.0", ...(hasIpv6 ? ["::"] : [])])(
    "on %s broadcasts leave and come back to their sender, as on every network (section 10.5)",
    async (host) => {
      await using one = await openUdpTransport({ host });
      const arrived = next(one);
      await one.send(Buffer.from("all"), { host: "127.255.255.255", port: one.local.port });
      const from = { host: "127.0.0.1", port: one.local.port };
      expect(await arrived).toEqual({ text: "all", from });
    },
  );

  test.each(["0.0.0.0", ...(hasIpv6 ? ["::"] : [])])("on %s an IPv4 group can be joined", async (host) => {
    const groups = [{ group: "239.255.77.1", interface: "127.0.0.1" }];
    await using one = await openUdpTransport({ host, multicast: groups });
    const sender = createSocket("udp4");
    const arrived = next(one);
    await new Promise<void>((resolve) => sender.bind(0, "127.0.0.1", resolve));
    sender.setMulticastInterface("127.0.0.1");
    sender.send("group", one.local.port, "239.255.77.1");
    expect(await arrived).toMatchObject({ text: "group", from: { host: "127.0.0.1" } });
    await new Promise<void>((resolve) => sender.close(resolve));
  });

  test.each([
    ["10.0.0.7", undefined],
    ["255.255.255.255", undefined],
    ["no group", undefined],
    ["239.255.77.1", "no-such-interface"],
    ["239.255.77.1", "192.0.2.1"],
    ["ff02::114", undefined],
  ])("the group %s on %s cannot be joined from IPv4, and says so", async (group, on) => {
    const multicast = [{ group, ...(on === undefined ? {} : { interface: on }) }];
    const opening = openUdpTransport({ host: "0.0.0.0", multicast });
    await expect(opening).rejects.toMatchObject({ code: "listen-failed" });
  });
});
