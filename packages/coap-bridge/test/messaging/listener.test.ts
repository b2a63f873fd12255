import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { silentLog, systemClock } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type Binding, type BoundSocket, bindSocket } from "../../src/listen/bound-socket.ts";
import { openCoapListener, parseCoapListen } from "../../src/listen/coap-listener.ts";
import type { CoapSocket } from "../../src/listen/coap-socket.ts";
import { createMessaging } from "../../src/messaging/create-messaging.ts";
import { hex, write } from "./lab.ts";

const listen = (url: string, groups?: readonly string[]): Promise<CoapSocket> =>
  openCoapListener({ url, clock: systemClock, ...(groups && { groups }) });

interface Client extends AsyncDisposable {
  readonly socket: Socket;
  ask(datagram: Uint8Array, port: number, host: string): Promise<string>;
}

async function client(
  type: "udp4" | "udp6" = "udp4",
  address: string = type === "udp4" ? "127.0.0.1" : "::1",
): Promise<Client> {
  const socket = createSocket(type);
  socket.bind(0, address);
  await once(socket, "listening");
  return {
    socket,
    async ask(datagram, port, host) {
      const answer = once(socket, "message");
      socket.send(datagram, port, host);
      const [bytes] = await answer;
      return hex(bytes);
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === "::1");

describe("listeners", () => {
  test("a URL has a host and the port of RFC 7252 §12.6 where it names none", () => {
    expect(parseCoapListen("coap://[::]:5683")).toEqual({ host: "::", port: 5683 });
    expect(parseCoapListen("coap://[::]")).toEqual({ host: "::", port: 5683 });
    expect(parseCoapListen("coap://127.0.0.1")).toEqual({ host: "127.0.0.1", port: 5683 });
    expect(parseCoapListen("coap://localhost:7/")).toEqual({ host: "127.0.0.1", port: 7 });
    for (const url of ["coap://", "coap://host", "coap://1.2.3.4:x", "coap://[::1", "coap://1.2.3.4:99999"]) {
      expect(() => parseCoapListen(url)).toThrow("config-invalid");
    }
  });

  test.skipIf(!hasIpv6)("one socket takes IPv4 and IPv6, and names hosts plainly", async () => {
    await using listener = await listen("coap://[::]:0");
    await using messaging = createMessaging({
      clock: systemClock,
      serve: ({ from }) => ({ code: 0x45, tail: Buffer.from(`\xff${from.host}`, "latin1") }),
    });
    messaging.listen(listener);
    await using four = await client();
    await using six = await client("udp6");
    const { port } = listener.local;
    expect(await four.ask(write(), port, "127.0.0.1")).toBe(`61451234a1ff${hex(Buffer.from("127.0.0.1"))}`);
    expect(await six.ask(write(), port, "::1")).toBe(`61451234a1ff${hex(Buffer.from("::1"))}`);
    expect(await four.ask(Buffer.from("4000beef", "hex"), port, "127.0.0.1")).toBe("7000beef");
  });

  test.skipIf(process.platform !== "linux")(
    "one at an address answers from it, however many addresses there are",
    async () => {
      await using listener = await listen("coap://127.0.0.2:0");
      listener.onDatagram((datagram, address, { port }) => listener.send(datagram, port, address));
      await using asking = await client();
      // A connected socket takes answers from nowhere else, and so do libcoap's clients.
      const connected = once(asking.socket, "connect");
      asking.socket.connect(listener.local.port, "127.0.0.2");
      await connected;
      const answered = once(asking.socket, "message");
      asking.socket.send("asked");
      const [bytes] = await answered;
      expect(String(bytes)).toBe("asked");
    },
  );

  test("a taken port is port-in-use and leaves nothing open, with and without groups", async () => {
    await using first = await listen("coap://127.0.0.1:0");
    const { port } = first.local;
    const message = `coap://127.0.0.1:${port} is taken by another program`;
    await expect(listen(`coap://127.0.0.1:${port}`)).rejects.toMatchObject({ code: "port-in-use" });
    await expect(listen(`coap://127.0.0.1:${port}`)).rejects.toThrow(message);
    await expect(listen(`coap://0.0.0.0:${port}`, ["224.0.1.187"])).rejects.toThrow("port-in-use");
    await first[Symbol.asyncDispose]();
    await using again = await listen(`coap://127.0.0.1:${port}`);
    expect(again.local.port).toBe(port);
  });

  test("node-coap #268: no second listener and no program with SO_REUSEADDR takes the port away, groups or not", async () => {
    for (const groups of [[], ["224.0.1.187"]]) {
      await using first = await listen("coap://0.0.0.0:0", groups);
      const { port } = first.local;
      await expect(listen(`coap://0.0.0.0:${port}`, groups)).rejects.toThrow("port-in-use");
      const thief = createSocket({ type: "udp4", reuseAddr: true });
      const failed = once(thief, "error");
      thief.bind(port, "0.0.0.0");
      const [error] = await failed;
      expect(error).toMatchObject({ code: "EADDRINUSE" });
      thief.close();
    }
  });

  test("an address that is not ours is listen-failed, naming the URL", async () => {
    await expect(listen("coap://192.0.2.250:0")).rejects.toThrow(
      "listen-failed: coap://192.0.2.250:0 cannot be bound",
    );
  });

  test("sending where no datagram can go is no error", async () => {
    await using listener = await listen("coap://127.0.0.1:0");
    listener.send(Uint8Array.of(1), 0, "127.0.0.1");
    listener.send(Uint8Array.of(1), 5, "no address");
    listener.send(new Uint8Array(70_000), 5, "127.0.0.1");
    expect(listener.addressOf("::1")).toBeUndefined();
    expect(listener.addressOf("host.example")).toBeUndefined();
    await listener[Symbol.asyncDispose]();
    listener.send(Uint8Array.of(1), 5, "127.0.0.1");
    await listener[Symbol.asyncDispose]();
  });
});

describe("a socket that fails", () => {
  test("is closed and opened again at its port after 2 s; what is sent meanwhile is lost; the listener says so", async () => {
    const clock = createFakeClock();
    const bound: { fail(reason: string): void; left: number; hear(): void; closed: boolean }[] = [];
    const bind = async ({ host, port }: Binding): Promise<BoundSocket> => {
      const { promise: failed, resolve: fail } = Promise.withResolvers<string>();
      let receive: Parameters<BoundSocket["onDatagram"]>[0] = () => undefined;
      const from = { address: "127.0.0.1", port: 5, family: "IPv4", size: 1 } as const;
      const socket = createSocket("udp4");
      const one = { fail, left: 0, closed: false, hear: () => receive(Buffer.of(1), from) };
      bound.push(one);
      return {
        ...{ socket, failed, family: "ipv4" },
        local: { host, port: port === 0 ? 4711 : port },
        send: () => {
          one.left += 1;
        },
        onDatagram: (receiver) => {
          receive = receiver;
        },
        [Symbol.asyncDispose]: async () => {
          one.closed = true;
          socket.close();
        },
      };
    };
    const said: (string | undefined)[] = [];
    const changed = (reason: string | undefined): void => void said.push(reason);
    await using listener = await openCoapListener({ url: "coap://127.0.0.1:0", clock, bind, changed });
    let heard = 0;
    listener.onDatagram(() => {
      heard += 1;
    });
    bound[0]?.hear();
    bound[0]?.fail("ENETDOWN");
    await clock.advance(1900);
    listener.send(Uint8Array.of(1), 5, "127.0.0.1");
    expect([bound.length, bound[0]?.closed, said]).toEqual([1, true, ["ENETDOWN"]]);
    await clock.advance(200);
    bound[1]?.hear();
    listener.send(Uint8Array.of(1), 5, "127.0.0.1");
    expect([listener.local.port, heard, bound[1]?.left, said]).toEqual([4711, 2, 1, ["ENETDOWN", undefined]]);
    await listener[Symbol.asyncDispose]();
    expect(bound[1]?.closed).toBe(true);
    expect(clock.pending()).toBe(0);
  });
});

const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
const four = addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
const six = addresses.find(({ family, internal, address }) => {
  return family === "IPv6" && !internal && !address.startsWith("fe80");
})?.address;

describe("RFC 7252 §8, §12.8: groups", () => {
  test.each([
    ["coap://[::]:0", "224.0.1.187", four],
    ["coap://0.0.0.0:0", "224.0.1.187", four],
    ["coap://[::]:0", "ff05::fd", six],
  ])("%s: what was sent to %s is told from the rest, and comes once", async (url, group, address) => {
    // A machine without such an address has no such groups.
    if (address === undefined) return;
    await using listener = await listen(url, [group]);
    const arrived: string[] = [];
    const { promise: last, resolve } = Promise.withResolvers<void>();
    listener.onDatagram((datagram, _address, { toGroup }) => {
      arrived.push(`${Buffer.from(datagram)} ${toGroup}`);
      if (arrived.length === 4) resolve();
    });
    await using sender = await client(isIPv4(address) ? "udp4" : "udp6", address);
    const send = (text: string, to: string): Promise<void> =>
      new Promise((done) => sender.socket.send(text, listener.local.port, to, () => done()));
    await send("0", group);
    await send("1", address);
    await send("2", group);
    // What came twice would have come before this one.
    await new Promise((done) => setImmediate(done));
    await send("3", address);
    await last;
    expect(arrived.toSorted()).toEqual(["0 true", "1 false", "2 true", "3 false"]);
  });

  test("a system where sockets cannot share a port has no groups, and listens all the same", async () => {
    const refused = Object.assign(new Error("not supported"), { code: "ENOTSUP" });
    const bind = (binding: Binding): Promise<BoundSocket> =>
      binding.shared === true ? Promise.reject(refused) : bindSocket(binding);
    const said: string[] = [];
    const log = { ...silentLog, info: (text: string) => said.push(text) };
    const groups = ["224.0.1.187"];
    await using listener = await openCoapListener({
      url: "coap://0.0.0.0:0",
      groups,
      clock: systemClock,
      bind,
      log,
    });
    expect(listener.local.port).toBeGreaterThan(0);
    expect(said).toEqual(["a multicast group cannot be joined"]);
  });

  test("a group that cannot be joined hinders nothing", async () => {
    await using listener = await listen("coap://127.0.0.1:0", ["192.0.2.1", "no group"]);
    expect(listener.local.port).toBeGreaterThan(0);
  });
});
