import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { type Endpoint, openUdpTransport, type Transport } from "../src/index.ts";
import { createFakeClock, createMemoryNetwork, settle } from "../src/testing/index.ts";

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => isIPv6(address)));

interface Ground {
  readonly name: string;
  open(at?: Partial<Endpoint>): Promise<Transport>;
  readonly loopback: string;
}

const network = createMemoryNetwork({ clock: createFakeClock() });
const grounds: readonly Ground[] = [
  { name: "memory", open: async (at) => network.open(at), loopback: "127.0.0.1" },
  { name: "UDP, dual stack", open: (at) => openUdpTransport(at), loopback: "127.0.0.1" },
  { name: "UDP, IPv4", open: (at) => openUdpTransport({ host: "127.0.0.1", ...at }), loopback: "127.0.0.1" },
  ...(hasIpv6
    ? [
        {
          name: "UDP, IPv6",
          open: (at?: Partial<Endpoint>) => openUdpTransport({ host: "::1", ...at }),
          loopback: "::1",
        },
      ]
    : []),
];

/** The next `count` datagrams as text, with their senders. */
function next(transport: Transport, count = 1): Promise<readonly { text: string; from: Endpoint }[]> {
  const all: { text: string; from: Endpoint }[] = [];
  return new Promise((resolve) => {
    transport.onDatagram((datagram, from) => {
      all.push({ text: Buffer.from(datagram).toString(), from });
      if (all.length === count) resolve(all);
    });
  });
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe.each(grounds)("transport contract: $name", ({ name, open, loopback }) => {
  const at = (transport: Transport): Endpoint =>
    name === "memory" ? transport.local : { host: loopback, port: transport.local.port };

  test("carries datagrams both ways and names the sender", async () => {
    await using one = await open();
    await using two = await open();
    const arrived = next(two);
    await one.send(bytes("ping"), at(two));
    const [ping] = await arrived;
    expect(ping).toEqual({ text: "ping", from: at(one) });
    const back = next(one);
    await two.send(bytes("pong"), ping?.from ?? at(one));
    expect(await back).toEqual([{ text: "pong", from: at(two) }]);
  });

  test("keeps the bounds and the order of datagrams", async () => {
    await using one = await open();
    await using two = await open();
    const arrived = next(two, 3);
    await one.send(bytes("a"), at(two));
    await one.send(new Uint8Array(0), at(two));
    await one.send(bytes("ccc"), at(two));
    expect((await arrived).map(({ text }) => text)).toEqual(["a", "", "ccc"]);
  });

  test("sends what it was given, not what the caller writes afterwards", async () => {
    await using one = await open();
    await using two = await open();
    const arrived = next(two);
    const datagram = Buffer.from("first");
    await one.send(datagram, at(two));
    datagram.fill(0);
    expect(await arrived).toMatchObject([{ text: "first" }]);
  });

  test("names its real port, and another cannot take it", async () => {
    await using one = await open();
    expect(one.local.port).toBeGreaterThan(0);
    await expect(open(one.local)).rejects.toMatchObject({ code: "port-in-use" });
  });

  test("frees its port when closed; closing twice is closing once", async () => {
    const one = await open();
    await one[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
    await using again = await open(one.local);
    expect(again.local).toEqual(one.local);
  });

  test("refuses what no datagram holds, and everything once closed", async () => {
    await using two = await open();
    const one = await open();
    await expect(one.send(new Uint8Array(65_508), at(two))).rejects.toMatchObject({
      code: "datagram-too-large",
    });
    await one[Symbol.asyncDispose]();
    await expect(one.send(bytes("late"), at(two))).rejects.toMatchObject({ code: "closed" });
  });

  test.each([
    { to: { host: "127.0.0.1", port: 0 } },
    { to: { host: "127.0.0.1", port: -1 } },
    { to: { host: "127.0.0.1", port: 70_000 } },
    { to: { host: "no-address", port: 9 } },
    { to: { host: "", port: 9 } },
    { to: { host: "240.0.0.1", port: 9 } },
    { to: { host: "2001:db8::1", port: 9 } },
  ])("loses a datagram to $to.host port $to.port, no more", async ({ to }) => {
    await using one = await open();
    await using two = await open();
    await one.send(bytes("nowhere"), to);
    const arrived = next(two);
    await one.send(bytes("here"), at(two));
    expect(await arrived).toMatchObject([{ text: "here" }]);
  });

  test("closing with sends under way settles them all", async () => {
    const one = await open();
    await using two = await open();
    const sends = Array.from({ length: 50 }, () => one.send(bytes("x"), at(two)));
    await one[Symbol.asyncDispose]();
    expect((await Promise.allSettled(sends)).map(({ status }) => status)).toEqual(
      sends.map(() => "fulfilled"),
    );
  });
});

describe("UDP", () => {
  test.runIf(hasIpv6)(
    "one dual-stack socket speaks with IPv4 and IPv6, mapped addresses unmapped",
    async () => {
      await using dual = await openUdpTransport();
      await using four = await openUdpTransport({ host: "127.0.0.1" });
      await using six = await openUdpTransport({ host: "::1" });
      const arrived = next(dual, 2);
      await four.send(bytes("four"), { host: "::ffff:127.0.0.1", port: dual.local.port });
      await six.send(bytes("six"), { host: "::1", port: dual.local.port });
      const seen = await arrived;
      expect(seen.map(({ text, from }) => `${text} ${from.host}`).sort()).toEqual([
        "four 127.0.0.1",
        "six ::1",
      ]);
      const back = [next(four), next(six)];
      for (const { text, from } of seen) await dual.send(bytes(`to ${text}`), from);
      expect((await Promise.all(back)).flat().map(({ text }) => text)).toEqual(["to four", "to six"]);
    },
  );

  test("the wildcard IPv4 address works where IPv6 is off", async () => {
    await using four = await openUdpTransport({ host: "0.0.0.0" });
    await using other = await openUdpTransport({ host: "127.0.0.1" });
    const arrived = next(four);
    await other.send(bytes("hi"), { host: "127.0.0.1", port: four.local.port });
    expect(await arrived).toMatchObject([{ from: { host: "127.0.0.1", port: other.local.port } }]);
  });

  test("a port held on IPv4 alone is in use for dual stack too", async () => {
    await using four = await openUdpTransport({ host: "0.0.0.0" });
    await expect(openUdpTransport({ port: four.local.port })).rejects.toMatchObject({ code: "port-in-use" });
  });

  test("an address of no interface cannot be bound, and says so", async () => {
    await expect(openUdpTransport({ host: "192.0.2.1" })).rejects.toMatchObject({ code: "listen-failed" });
    await expect(openUdpTransport({ host: "localhost" })).rejects.toMatchObject({ code: "listen-failed" });
  });

  test("closed, it leaves no handle behind: a process that used one ends by itself", async () => {
    const source = new URL("../src/index.ts", import.meta.url).href;
    const script = `
      import { openUdpTransport } from ${JSON.stringify(source)};
      await using one = await openUdpTransport({ host: "127.0.0.1" });
      const echoed = new Promise((resolve) => one.onDatagram(resolve));
      await one.send(Buffer.from("x"), one.local);
      await echoed;
      await openUdpTransport({ host: "127.0.0.1", port: one.local.port }).catch((error) => console.log(error.code));`;
    const ended = await new Promise<string>((resolve) => {
      const options = { timeout: 100_000 };
      execFile(process.execPath, ["--input-type=module", "-e", script], options, (error, out) => {
        resolve(error === null ? out.trim() : `did not end: ${error.message}`);
      });
    });
    expect(ended).toBe("port-in-use");
  });

  test("a receiver that throws ends nothing", async () => {
    await using one = await openUdpTransport({ host: "127.0.0.1" });
    const plain = createSocket("udp4");
    one.onDatagram(() => {
      throw new Error("of the test");
    });
    const sent = Promise.withResolvers<void>();
    plain.send("x", one.local.port, "127.0.0.1", () => sent.resolve());
    await sent.promise;
    await settle(20);
    const arrived = next(one);
    plain.send("y", one.local.port, "127.0.0.1");
    expect((await arrived).at(-1)?.text).toBe("y");
    await new Promise<void>((resolve) => plain.close(resolve));
  });
});

describe("memory network", () => {
  const clock = createFakeClock();

  async function burst(conditions: object, count = 200): Promise<{ seen: number[]; counts: object }> {
    const net = createMemoryNetwork({ clock, seed: 7, ...conditions });
    await using one = net.open();
    await using two = net.open();
    const seen: number[] = [];
    two.onDatagram((datagram) => seen.push(datagram[0] ?? -1));
    for (let at = 0; at < count; at += 1) await one.send(Uint8Array.of(at), two.local);
    await clock.advance(1_000);
    return { seen, counts: net.counts() };
  }

  test("by default everything arrives once, in order, without moving the clock", async () => {
    const { seen, counts } = await burst({});
    expect(seen).toEqual(Array.from({ length: 200 }, (_, at) => at));
    expect(counts).toMatchObject({ sent: 200, delivered: 200, lost: 0 });
  });

  test("jitter alone never reorders; holding back does", async () => {
    expect((await burst({ delayMs: [1, 400] })).seen).toEqual(Array.from({ length: 200 }, (_, at) => at));
    const { seen } = await burst({ reorder: 0.2 });
    expect(seen).not.toEqual([...seen].sort((a, b) => a - b));
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, at) => at));
  });

  test("loss and duplication follow their probability and balance", async () => {
    const { seen, counts } = await burst({ loss: 0.25, duplicate: 0.25 });
    const all = { sent: 0, delivered: 0, lost: 0, duplicated: 0, ...counts };
    expect(all.delivered).toBe(all.sent - all.lost + all.duplicated);
    expect(seen.length).toBe(all.delivered);
    expect(all.lost).toBeGreaterThan(20);
    expect(all.lost).toBeLessThan(80);
    expect(all.duplicated).toBeGreaterThan(10);
  });

  test("the same seed gives the same fate", async () => {
    const conditions = { loss: 0.3, duplicate: 0.2, reorder: 0.2, delayMs: [1, 9] };
    expect(await burst(conditions)).toEqual(await burst(conditions));
    expect(await burst(conditions)).not.toEqual(await burst({ ...conditions, seed: 8 }));
  });

  test("packets above the MTU are lost", async () => {
    const net = createMemoryNetwork({ clock, mtu: 1_500 });
    await using one = net.open();
    await using two = net.open();
    const arrived = next(two);
    await one.send(new Uint8Array(1_473), two.local);
    await one.send(new Uint8Array(1_472), two.local);
    expect((await arrived)[0]?.text.length).toBe(1_472);
    expect(net.counts().oversized).toBe(1);
  });

  test("a closed endpoint gets nothing and leaves no timer behind", async () => {
    const net = createMemoryNetwork({ clock, delayMs: 20 });
    await using one = net.open();
    const two = net.open();
    let got = 0;
    two.onDatagram(() => {
      got += 1;
    });
    await one.send(bytes("x"), two.local);
    await two[Symbol.asyncDispose]();
    expect(clock.pending()).toBe(0);
    await clock.advance(100);
    expect(got).toBe(0);
  });

  test("a broadcast reaches every endpoint of its port, the sender too", async () => {
    const net = createMemoryNetwork({ clock });
    await using one = net.open({ port: 9 });
    await using two = net.open({ port: 9 });
    await using other = net.open({ port: 10 });
    other.onDatagram(() => expect.unreachable());
    const arrived = Promise.all([next(one), next(two)]);
    await one.send(bytes("all"), { host: "255.255.255.255", port: 9 });
    expect((await arrived).flat().map(({ from }) => from)).toEqual([one.local, one.local]);
    await settle();
  });
});
