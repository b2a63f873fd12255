import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { createTimeService, type Endpoint, openUdpTransport, type TimeService } from "../../src/index.ts";
import { createFakeClock, createMemoryNetwork, settle } from "../../src/testing/index.ts";
import { createSourceRates } from "../../src/time-service/source-rates.ts";

const SERVER = { host: "10.0.0.1", port: 123 };
const BOARD = { host: "10.0.0.7", port: 49_152 };
const REQUEST = new Uint8Array(48).fill(0x23, 0, 1);

interface Room {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly service: TimeService;
  /** Sends a datagram `times` from there; how many answers came back. */
  ask(from: Endpoint, times?: number, datagram?: Uint8Array): Promise<number>;
}

async function open(): Promise<Room> {
  const clock = createFakeClock();
  const network = createMemoryNetwork({ clock });
  const service = createTimeService({ clock, openTransport: async () => network.open(SERVER) });
  await service.start();
  return {
    clock,
    service,
    async ask(from, times = 1, datagram = REQUEST) {
      await using board = network.open(from);
      let answers = 0;
      board.onDatagram(() => {
        answers += 1;
      });
      for (let time = 0; time < times; time += 1) await board.send(datagram, SERVER);
      await settle();
      return answers;
    },
  };
}

describe("how much is answered", () => {
  test("16 at once for each address, whatever its port, then one a second", async () => {
    const { service, clock, ask } = await open();
    expect(await ask(BOARD, 20)).toBe(16);
    expect(await ask({ ...BOARD, port: 50_000 }, 5)).toBe(0);
    expect(await ask({ ...BOARD, host: "10.0.0.8" }, 5)).toBe(5);
    await clock.advance(3000);
    expect(await ask(BOARD, 5)).toBe(3);
    await clock.advance(3_600_000);
    expect(await ask(BOARD, 20)).toBe(16);
    expect(service.counts()).toEqual({ answered: 40, ignored: 0, limited: 15 });
    await service.stop();
    expect(clock.pending()).toBe(0);
  });

  test("an IPv6 network of 64 bits is one source", async () => {
    const { service, ask } = await open();
    expect(await ask({ host: "2001:db8::1", port: 1024 }, 10)).toBe(10);
    expect(await ask({ host: "2001:db8:0:0:ffff::2", port: 1024 }, 10)).toBe(6);
    expect(await ask({ host: "2001:db8:0:1::1", port: 1024 }, 10)).toBe(10);
    await service.stop();
  });

  test("answers of other servers, port 0 and groups are ignored", async () => {
    const { service, ask } = await open();
    const reply = new Uint8Array(48).fill(0x24, 0, 1);
    expect(await ask({ host: "10.0.0.9", port: 123 }, 3, reply)).toBe(0);
    expect(await ask({ host: "224.0.1.1", port: 123 })).toBe(0);
    expect(service.counts()).toEqual({ answered: 0, ignored: 4, limited: 0 });
    await service.stop();
  });

  test("the table of sources is bounded; those without a place share what is left for them", () => {
    const rates = createSourceRates({
      each: { burst: 2, perSecond: 1 },
      rest: { burst: 3, perSecond: 1 },
      sources: 10,
    });
    const taken = Array.from({ length: 50 }, (_, at) => rates.take(`s${at}`, 0));
    expect(taken.filter(Boolean)).toHaveLength(10 + 3);
    expect(rates.size).toBe(10);
    expect(rates.take("s0", 100)).toBe(true);
    expect(rates.take("s0", 100)).toBe(false);
    // What is full again is forgotten, and its place free.
    expect(rates.take("new", 2050)).toBe(true);
    expect(rates.size).toBeLessThanOrEqual(2);
    expect(rates.take("s0", 2050)).toBe(true);
  });
});

describe("its life", () => {
  test("start and stop are idempotent, and after stop nothing is open", async () => {
    const { service, ask } = await open();
    await service.start();
    expect(service.local()).toEqual(SERVER);
    await Promise.all([service.stop(), service.stop()]);
    await service[Symbol.asyncDispose]();
    expect(service.local()).toBeUndefined();
    expect(await ask(BOARD)).toBe(0);
    await expect(service.start()).rejects.toMatchObject({ code: "closed" });
  });

  test("a taken port is said, and stop works after that", async () => {
    await using other = await openUdpTransport({ host: "127.0.0.1", port: 0 });
    const service = createTimeService({ openTransport: () => openUdpTransport(other.local) });
    await expect(service.start()).rejects.toMatchObject({ code: "port-in-use" });
    await service.stop();
  });
});

/** What MicroPython's `ntptime` sends and reads: 0x1b and zeros; the seconds at byte 40. */
test("a client's socket gets the machine's time over UDP", async () => {
  await using service = createTimeService({
    openTransport: () => openUdpTransport({ host: "127.0.0.1", port: 0 }),
  });
  await service.start();
  const socket = createSocket("udp4");
  try {
    const request = new Uint8Array(48);
    request[0] = 0x1b;
    const before = Date.now();
    socket.send(request, service.local()?.port ?? 0, "127.0.0.1");
    const [reply] = (await once(socket, "message")) as [Buffer];
    const after = Date.now();
    expect(reply).toHaveLength(48);
    expect(reply[0]).toBe(0x1c);
    const seconds = reply.readUInt32BE(40) - 2_208_988_800;
    expect(seconds).toBeGreaterThanOrEqual(Math.floor(before / 1000));
    expect(seconds).toBeLessThanOrEqual(Math.floor(after / 1000));
  } finally {
    socket.close();
  }
});
