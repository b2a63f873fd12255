import { expect } from "vitest";
import type { IncomingMessage, Qos, Verdict } from "../../src/index.ts";
import { createPrng, type Prng, type V1Driver, type V1Record } from "../../src/testing/index.ts";
import { createWorld, type Room, read, type World } from "../node/node-room.ts";
import { drive, faultsOf, pause, seededBytes, seededDraw } from "./faults.ts";
import { lastOf, runLane, type Sent } from "./lane.ts";

/** What all runs together must have shown, lest the proof prove nothing. */
export interface DeviceShown {
  readonly outcomes: Record<string, number>;
  /** Bytes that a device gave its program twice, having forgotten that it knew them. */
  forgotten: number;
  /** QoS 1 under a new nonce, after an answer was lost. */
  doubled: number;
  overflowed: number;
  reboots: number;
  /** Of the device's messages: sent, and taken by our application. */
  published: number;
  taken: number;
}

export function nothingShown(): DeviceShown {
  return { outcomes: {}, forgotten: 0, doubled: 0, overflowed: 0, reboots: 0, published: 0, taken: 0 };
}

const NODE_AT = { host: "10.1.0.1", port: 8888 };
const DEVICE_AT = { host: "10.1.0.9", port: 9001 };
const DOWN = ["down/setpoint", "down/mode"];
const UP = ["up/temperature", "down/mode"];
const EPOCH_2000 = -946_684_800;
/** A board whose clock was never set counts from 0 at every boot. */
const UNSET = "unset";

interface Board {
  readonly offset: number | typeof UNSET;
  /** Datagrams its network stack holds (protocol.md section 6). */
  readonly queue: 1 | 6;
  readonly reboots: boolean;
}

function boardOf(seed: number): Board {
  const offset = ([0, EPOCH_2000, UNSET] as const)[seed % 3] ?? 0;
  return { offset, queue: seed % 2 === 0 ? 1 : 6, reboots: seed % 4 < 2 };
}

/** One device at one address, over as many lives as it has. */
interface Devices {
  readonly lives: V1Driver[];
  /** When it forgot what it had received: at a reboot, or as its session was renewed. Wall clock, milliseconds. */
  readonly forgotAt: number[];
  readonly published: { readonly id: string; readonly qos: number }[];
  current: V1Driver;
}

interface Stage {
  readonly world: World;
  readonly seed: number;
  readonly random: Prng;
  readonly board: Board;
  readonly room: Room;
  readonly taken: { readonly id: string; readonly message: IncomingMessage }[];
  readonly devices: Devices;
  readonly sent: Sent[];
}

/** A node and a v1 device, both sending, over a network that does what `faultsOf` says. */
export async function runWithDevice(seed: number, shown: DeviceShown): Promise<void> {
  const stage = await openStage(seed);
  const { world, random, devices, sent, room } = stage;
  await drive(world.clock, talk(stage, { count: 1, longest: 0 }));
  const lane = { clock: world.clock, node: room.node, to: "device", random, pauseMs: 60_000 } as const;
  const down = DOWN.map((channel) =>
    runLane({ ...lane, channel, count: 8, name: "node", again: "never" }, sent),
  );
  const reboot = stage.board.reboots ? [pause(world.clock, 60_000).then(() => restart(stage))] : [];
  await drive(world.clock, Promise.all([...down, ...reboot, talk(stage, { count: 16, longest: 45_000 })]));
  await world.clock.advance(60_000);
  for (const one of sent) checkDown(one, devices);
  checkUp(stage);
  note(shown, stage);
  await world.stop();
  expect(world.clock.pending(), "timers after stop").toBe(0);
}

async function openStage(seed: number): Promise<Stage> {
  const world = createWorld(faultsOf(seed));
  const random = createPrng(seed);
  const board = boardOf(seed);
  const taken: Stage["taken"] = [];
  const message = async (incoming: IncomingMessage): Promise<Verdict> => {
    if (random.chance(0.2)) await pause(world.clock, random.between(0, 2500));
    if (random.chance(0.05)) return { is: "refused", reason: "store-busy" };
    taken.push({ id: read(incoming.payload).split(" ")[0] ?? "", message: incoming });
    return { is: "accepted" };
  };
  const known = {
    name: "device",
    address: DEVICE_AT,
    clock: board.offset === UNSET ? "any" : "learn",
  } as const;
  const transport = world.network.open(NODE_AT);
  const channels = [...UP, ...DOWN];
  const options = { channels, peers: [known], random: seededBytes(seed), transport };
  const room = await world.node(options, { message });
  const current = boot(world, board, seed);
  const devices: Devices = { lives: [current], forgotAt: [], published: [], current };
  return { world, seed, random, board, room, taken, devices, sent: [] };
}

function boot(world: World, board: Board, seed: number): V1Driver {
  const bootedAt = Math.floor(world.clock.now() / 1000);
  return world.device({
    transport: world.network.open(DEVICE_AT),
    channels: DOWN,
    random: seededDraw(seed),
    paced: true,
    queue: board.queue,
    offsetSeconds: board.offset === UNSET ? -bootedAt : board.offset,
  });
}

/** Loses its RAM: nonces, exchanges, session. */
async function restart({ world, board, seed, devices }: Stage): Promise<void> {
  await devices.current[Symbol.asyncDispose]();
  devices.forgotAt.push(world.clock.now());
  devices.current = boot(world, board, seed + 1_000_000);
  devices.lives.push(devices.current);
}

/** The device publishes: once each, as devices do. */
async function talk(
  { world, random, devices }: Stage,
  { count, longest }: { count: number; longest: number },
): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    await pause(world.clock, random.between(0, longest));
    const { current, published, forgotAt } = devices;
    const id = `device#${published.length}`;
    const qos = random.between(0, 3);
    const channel = UP[random.between(0, 1)] ?? "";
    const before = current.device.sessionId;
    published.push({ id, qos });
    await current.publish({ channel, message: `${id} 22.5`, qos }, NODE_AT);
    if (current.device.sessionId !== before) forgotAt.push(world.clock.now());
  }
}

type Delivery = V1Record & { readonly delivered: NonNullable<V1Record["delivered"]> };

function deliveriesOf(sent: Sent, { lives }: Devices): Delivery[] {
  return lives.flatMap(({ received }) =>
    received.filter((record): record is Delivery => record.delivered?.text.split(" ")[0] === sent.id),
  );
}

/**
 * Towards the device. `delivered` only where its program got the message. Twice only as a v1 device does it: QoS 1
 * under a new nonce; the same bytes after it has forgotten their nonce.
 */
function checkDown(sent: Sent, devices: Devices): void {
  const deliveries = deliveriesOf(sent, devices);
  const last = lastOf(sent);
  const said = `${sent.id} at QoS ${sent.qos}: ${JSON.stringify(last)}, given to the program ${deliveries.length} times`;
  const byBytes = Map.groupBy(deliveries, ({ datagram }) => Buffer.from(datagram).toString("latin1"));
  if (!last.sent) expect(deliveries.length, said).toBe(0);
  if (sent.qos > 0 && last.is === "delivered") expect(deliveries.length, said).toBeGreaterThanOrEqual(1);
  if (sent.qos !== 1) expect(byBytes.size, said).toBeLessThanOrEqual(1);
  for (const copies of byBytes.values()) {
    for (const [at, copy] of copies.slice(1).entries()) {
      const before = copies[at]?.at ?? 0;
      const forgot = devices.forgotAt.some((time) => time >= before && time <= copy.at);
      expect(forgot, `${said}, of the same bytes`).toBe(true);
    }
  }
  // Sent and not answered is not known: trying again would be a second message (protocol.md section 10.4).
  if (sent.qos === 2 && last.sent && last.is !== "delivered") expect(last.is, said).toBe("uncertain");
  if (sent.qos === 1) expect(["delivered", "unanswered", "expired"], said).toContain(last.is);
  for (const { delivered } of deliveries) {
    expect(delivered).toMatchObject({ channel: sent.channel, text: read(sent.payload) });
  }
}

/** From the device: each transfer is taken at most once, and nothing else is. */
function checkUp({ taken, devices, room }: Stage): void {
  const copies = Map.groupBy(taken, ({ id }) => id);
  for (const [id, messages] of copies) {
    const published = devices.published.find((one) => one.id === id);
    expect(published, `${id} was never published`).toBeDefined();
    expect(messages.length, `${id} was taken ${messages.length} times`).toBe(1);
    // 3 on the wire counts as 0.
    const qos = published?.qos === 3 ? 0 : published?.qos;
    expect(messages[0]?.message.qos).toBe(qos satisfies Qos | number | undefined);
  }
  expect(room.node.peer("device")?.kind).toBe("device");
}

function note(shown: DeviceShown, { sent, devices, taken }: Stage): void {
  for (const one of sent) {
    const last = lastOf(one);
    const name = `qos${one.qos} ${last.is}`;
    shown.outcomes[name] = (shown.outcomes[name] ?? 0) + 1;
    const deliveries = deliveriesOf(one, devices);
    const different = new Set(deliveries.map(({ datagram }) => Buffer.from(datagram).toString("latin1")))
      .size;
    shown.forgotten += deliveries.length - different;
    shown.doubled += Math.max(0, different - 1);
  }
  shown.overflowed += devices.lives.reduce((sum, { overflowed }) => sum + overflowed, 0);
  shown.reboots += devices.lives.length - 1;
  shown.published += devices.published.length;
  shown.taken += taken.length;
}
