import { decodePacket, type NodeBroadcastOptions, type PublishOutcome } from "../../src/index.ts";
import { vectorRing } from "../vectors.ts";
import { type Room, text, until, type World } from "./node-room.ts";

export const EPOCH_2000 = -946_684_800;

/** Broadcasts on `a/b` and lets the clock run until the outcome is there. */
export async function broadcast(
  world: World,
  room: Room,
  { message = "m", ...options }: NodeBroadcastOptions & { message?: string } = {},
): Promise<PublishOutcome> {
  let isOver = false;
  const outcome = room.node.broadcast("a/b", text(message), options);
  void outcome.then(() => {
    isOver = true;
  });
  await until(world.clock, () => isOver);
  return outcome;
}

export interface Seen {
  readonly at: number;
  readonly text: string;
  readonly clock: number;
  readonly ttl: number;
  readonly flags: number;
}

/** Everything that a listener on that port hears, with its time. */
export function spy(world: World, at: { host?: string; multicast?: string[] } = {}): Seen[] {
  const seen: Seen[] = [];
  world.network.open({ port: 8888, ...at }).onDatagram((datagram) => {
    const decoded = decodePacket(datagram, vectorRing());
    if (!decoded.ok || decoded.packet.type !== "PUBLISH") throw new Error("no PUBLISH");
    const { message, timestamp, ttl, flags } = decoded.packet;
    const clock = timestamp - Math.floor(world.clock.now() / 1000);
    seen.push({ at: world.clock.monotonic(), text: Buffer.from(message).toString(), clock, ttl, flags });
  });
  return seen;
}
