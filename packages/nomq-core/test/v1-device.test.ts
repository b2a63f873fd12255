import { describe, expect, test } from "vitest";
import { createKeyRing, decodePacket, openUdpTransport, type Packet, systemClock } from "../src/index.ts";
import {
  createFakeClock,
  createMemoryNetwork,
  createV1Device,
  openV1,
  runV1Device,
  sealV1,
  type V1Driver,
  v1ChannelId,
} from "../src/testing/index.ts";
import { bytes, hex, vectorKey, vectorRing, vectors } from "./vectors.ts";

const keys = { encryption: bytes(vectors.keys.encryption_key), mac: bytes(vectors.keys.hmac_key) };
const peer = { host: "127.0.0.1", port: 9000 };
const time = vectors.time;

/** A PUBLISH as a device requires it: four bytes before the message. */
function filled(
  id: number,
  over: { qos?: number; nonce?: number; channel?: string; text?: string; at?: number } = {},
) {
  const { qos = 0, nonce = id, channel = "a/b", text = "hello", at = time } = over;
  const body = Buffer.from(text);
  const plaintext = Buffer.alloc(20 + body.length);
  plaintext.writeUInt32BE(nonce, 8);
  plaintext.writeUInt32BE(body.length, 12);
  plaintext.set(body, 20);
  return control(id, { type: 1, flags: qos, channel, plaintext, at });
}

function control(
  id: number,
  over: { type: number; flags?: number; channel?: string; plaintext?: Uint8Array; at?: number },
) {
  const { flags = 0, channel = "a/b", plaintext = Buffer.alloc(4), at = time, type } = over;
  const common = { type, flags, packetId: id, sessionId: 1, ttl: 3_600, timestamp: at, plaintext };
  return sealV1({ ...common, iv: Buffer.alloc(16, id), channelId: v1ChannelId(channel) }, keys);
}

function decoded(datagram: Uint8Array | undefined): Packet | undefined {
  const result = datagram === undefined ? undefined : decodePacket(datagram, vectorRing());
  return result?.ok === true ? result.packet : undefined;
}

test("fed the recorded packets in order, it ends as the original did", () => {
  const device = createV1Device({ ...keys, channels: ["a/b"] });
  for (const { name, hex: datagram, expect: recorded } of vectors.receive) {
    const { delivered, reply, log } = device.receive(bytes(datagram), peer, time);
    const packet = decoded(reply?.datagram);
    const answer =
      packet === undefined
        ? null
        : {
            flags: packet.flags.toString(16).padStart(2, "0"),
            packet_id: packet.packetId.toString(16).padStart(8, "0"),
            channel_id: hex(packet.channelId),
            ttl: packet.ttl,
            type: reply?.type,
          };
    const { type_name: _, ...wanted } = { type_name: "", ...recorded.reply };
    if (wanted.packet_id === "random" && answer !== null) answer.packet_id = "random";
    expect({ name, delivered: delivered?.text ?? null, answer, log: log.map(anonymous) }).toEqual({
      name,
      delivered: recorded.delivered,
      answer: recorded.reply === null ? null : wanted,
      log: recorded.log,
    });
  }
});

const anonymous = (line: string): string => line.replaceAll("127.0.0.1:9000", "ADDR");

describe("sends", () => {
  const inputs = vectors.send.filter(({ inputs: { call } }) => call === "publish");

  test.each(inputs)("$name byte for byte", ({ inputs: given, hex: recorded, fields }) => {
    const drawn = [given.session_id, given.packet_id, given.nonce, given.iv];
    const device = createV1Device({ ...keys, random: () => bytes(drawn.shift() ?? "") });
    const { datagrams } = device.publish(given, fields.timestamp);
    expect(datagrams.map(hex)).toEqual([recorded]);
  });
});

describe("exchanges (protocol.md section 5)", () => {
  test("QoS 1 ends by an ACK of its channel; an ACK of another channel is never seen", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    const { packetId = 0 } = device.publish({ channel: "a/b", message: "x", qos: 1 }, time);
    device.receive(control(packetId, { type: 3, channel: "other" }), peer, time);
    expect(device.pending().get(packetId)).toBe("NONE");
    device.receive(control(packetId, { type: 3 }), peer, time);
    expect(device.pending().size).toBe(0);
  });

  test("QoS 2 goes PUBREC, PUBREL, PUBCOMP; repeats are not answered", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    const { packetId = 0 } = device.publish({ channel: "a/b", message: "x", qos: 2 }, time);
    device.receive(control(packetId, { type: 8 }), peer, time);
    expect(device.pending().get(packetId)).toBe("PUBLISH_SENT");
    expect(decoded(device.receive(control(packetId, { type: 6 }), peer, time).reply?.datagram)?.type).toBe(
      "PUBREL",
    );
    expect(device.receive(control(packetId, { type: 6 }), peer, time).reply).toBeUndefined();
    device.receive(control(packetId, { type: 8 }), peer, time);
    expect(device.pending().size).toBe(0);
  });

  test("the same bytes again are a replay without an answer; a new nonce is delivered again", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    const first = filled(7, { qos: 2 });
    expect(device.receive(first, peer, time).reply?.type).toBe(6);
    expect(device.receive(first, peer, time)).toEqual({
      log: ["WARNING: Replay attack detected"],
      sleepMs: 0,
    });
    expect(device.receive(filled(7, { qos: 2, nonce: 8 }), peer, time).delivered?.text).toBe("hello");
    expect(device.receive(control(7, { type: 7 }), peer, time).reply?.type).toBe(8);
    expect(device.receive(control(7, { type: 7 }), peer, time).reply).toBeUndefined();
  });

  test("51 open publishes: the last is sent and forgotten; an incoming QoS 2 evicts one", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    const sent = Array.from({ length: 51 }, () =>
      device.publish({ channel: "a/b", message: "x", qos: 1 }, time),
    );
    expect(sent.at(-1)?.log).toEqual(["WARNING: Pending messages limit reached"]);
    expect(sent.at(-1)?.datagrams.length).toBe(1);
    expect(device.pending().size).toBe(50);
    device.receive(filled(1, { qos: 2 }), peer, time);
    expect(device.pending().size).toBe(50);
    expect(device.pending().get(1)).toBe("PUBREC_SENT");
  });

  test("expiry comes only with a processed packet, and never again after a stale retained message", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    device.publish({ channel: "a/b", message: "x", qos: 1, ttl: 5 }, time);
    expect(device.pending().size).toBe(1);
    expect(device.receive(filled(1, { at: time + 6 }), peer, time + 6).log.at(-1)).toMatch(
      /^INFO: Removed expired/,
    );
    expect(device.pending().size).toBe(0);
    device.publish({ channel: "a/b", message: "x", qos: 1, ttl: 5, retain: true }, time + 6);
    const late = device.receive(filled(2, { at: time + 37 }), peer, time + 37);
    expect(late.log.slice(-2)).toEqual([
      "WARNING: Possible replay attack",
      "ERROR: Unexpected error: 'NoneType' object has no attribute 'get'",
    ]);
    expect(device.pending().size).toBe(1);
  });

  test("nonces are forgotten after 30 s, at 100, and with a new session", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    const again = (id: number, at: number) =>
      device.receive(filled(id, { nonce: 1, at }), peer, at).delivered;
    expect(again(1, time)).toBeDefined();
    expect(again(2, time + 30)).toBeUndefined();
    for (let id = 100; id < 200; id += 1) device.receive(filled(id), peer, time);
    expect(again(3, time)).toBeDefined();
    device.publish({ channel: "a/b", message: "x" }, time);
    const { sessionId } = device;
    device.publish({ channel: "a/b", message: "x" }, time + 300);
    expect(device.sessionId).toBe(sessionId);
    device.publish({ channel: "a/b", message: "x" }, time + 301);
    expect(device.sessionId).not.toBe(sessionId);
  });
});

describe("limits (protocol.md section 8)", () => {
  test("20 channels, no empty name; 1 to 1,024 characters, counted as code points", () => {
    const device = createV1Device(keys);
    for (let at = 0; at < 20; at += 1) expect(device.subscribe(`c/${at}`, time).log).toEqual([]);
    expect(device.subscribe("c/20", time)).toEqual({
      datagrams: [],
      log: ["ERROR: Max channel limit reached"],
    });
    expect(createV1Device(keys).subscribe("", time).datagrams).toEqual([]);
    const sent = (message: string) => device.publish({ channel: "a", message }, time).datagrams[0]?.length;
    expect([sent(""), sent("x".repeat(1_025))]).toEqual([undefined, undefined]);
    expect([sent("é".repeat(1_024)), sent("😀".repeat(1_024))]).toEqual([2_181, 4_229]);
  });

  test("subscribing to a new channel sends its retained messages, five at most, to itself", () => {
    const device = createV1Device(keys);
    for (let at = 0; at < 7; at += 1) device.publish({ channel: "a", message: `${at}`, retain: true }, time);
    expect(device.subscribe("a", time).datagrams.length).toBe(6);
    expect(device.subscribe("a", time).datagrams.length).toBe(1);
  });

  test("UTF-8 as MicroPython sees it", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    const seen = (payload: string, id: number): boolean => {
      const plaintext = Buffer.concat([Buffer.alloc(20), Buffer.from(payload, "hex")]);
      plaintext.writeUInt32BE(id, 8);
      plaintext.writeUInt32BE(payload.length / 2, 12);
      return device.receive(control(id, { type: 1, plaintext }), peer, time).delivered !== undefined;
    };
    expect([seen("eda080", 1), seen("c080", 2), seen("fffefd", 3), seen("c3", 4)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test("malformed payload lengths end as recorded in section 3", () => {
    const device = createV1Device({ ...keys, channels: ["a/b"] });
    expect(device.receive(new Uint8Array(84), peer, time).log[0]).toBe("WARNING: Packet too short");
    const sealed = openV1(filled(1), keys, { now: time, from: "x" });
    expect("frame" in sealed && sealed.frame.plaintext.length).toBe(25);
  });
});

describe("on a transport", () => {
  const key = vectorKey();

  test("over UDP: publishes, and answers to where the datagram came from", async () => {
    await using server = await openUdpTransport({ host: "127.0.0.1" });
    const transport = await openUdpTransport({ host: "127.0.0.1" });
    await using device = runV1Device({ ...keys, transport, clock: systemClock, channels: ["a/b"] });
    const arrived = Promise.withResolvers<Uint8Array>();
    server.onDatagram(arrived.resolve);
    const packetId = await device.publish({ channel: "a/b", message: "hello", qos: 2 }, server.local);
    const result = decodePacket(await arrived.promise, createKeyRing([key]));
    expect(result.ok && result.packet).toMatchObject({ type: "PUBLISH", layout: 16, packetId });
    const now = Math.floor(Date.now() / 1_000);
    await server.send(control(packetId ?? 0, { type: 6, at: now }), device.local);
    await device.until(() => device.received.length === 1);
    expect(device.received[0]?.answer).toBe("PUBREL");
    await server.send(control(packetId ?? 0, { type: 8, at: now }), device.local);
    await device.until(() => device.pending().size === 0);
  });

  function inMemory(over: Partial<Parameters<typeof runV1Device>[0]> = {}) {
    const clock = createFakeClock(time * 1_000);
    const network = createMemoryNetwork({ clock });
    const sender = network.open(peer);
    const transport = network.open();
    const device: V1Driver = runV1Device({ ...keys, transport, clock, channels: ["a/b"], ...over });
    return { clock, sender, device };
  }

  test("paced: ten packets a second; with a queue of 6 the rest of a burst is lost", async () => {
    const { clock, sender, device } = inMemory({ paced: true, queue: 6 });
    for (let id = 1; id <= 20; id += 1) await sender.send(filled(id), device.local);
    await clock.advance(0);
    expect(device.delivered.length).toBe(1);
    await clock.advance(250);
    expect(device.delivered.length).toBe(3);
    await clock.advance(1_000);
    expect([device.delivered.length, device.overflowed]).toEqual([7, 13]);
    await device[Symbol.asyncDispose]();
    expect(clock.pending()).toBe(0);
  });

  test("an answer that is cut leaves the device as if it had been sent", async () => {
    const { clock, sender, device } = inMemory({ cut: ["PUBREC"] });
    let answers = 0;
    sender.onDatagram(() => {
      answers += 1;
    });
    await sender.send(filled(1, { qos: 2 }), device.local);
    await sender.send(filled(2, { qos: 1 }), device.local);
    await clock.advance(0);
    expect(device.received.map(({ answer }) => answer)).toEqual(["PUBREC", "ACK"]);
    expect(answers).toBe(1);
    expect(device.pending().get(1)).toBe("PUBREC_SENT");
  });

  test("its clock may count from 2000, and be set", async () => {
    const { clock, sender, device } = inMemory({ offsetSeconds: -946_684_800 });
    await sender.send(filled(1), device.local);
    await sender.send(filled(2, { at: time - 946_684_800 }), device.local);
    await clock.advance(0);
    expect(device.delivered.length).toBe(1);
    device.offsetSeconds = 0;
    await sender.send(filled(3), device.local);
    await clock.advance(0);
    expect(device.delivered.length).toBe(2);
  });

  test("waiting in vain says what was seen", async () => {
    const { clock, device } = inMemory();
    const waiting = device.until(() => false, { timeoutMs: 50 });
    const [result] = await Promise.all([Promise.allSettled([waiting]), clock.advance(60)]);
    expect(result).toMatchObject([{ status: "rejected", reason: { message: /0 received, 0 delivered/ } }]);
  });
});
