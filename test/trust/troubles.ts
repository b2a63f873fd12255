import { existsSync } from "node:fs";
import { join } from "node:path";
import { peekHeader } from "@nomq/core";
import { type CoapEndpoint, openCoapEndpoint } from "../real/coap-endpoint.ts";
import { type CoapPacket, decodeCoap, EMPTY, OPTION } from "../real/coap-wire.ts";
import type { Sent } from "./book.ts";
import { unbalanced } from "./checks.ts";
import type { Recorded, Way } from "./relay.ts";
import { LITTLE } from "./small-disk.ts";
import type { Stage } from "./stage.ts";
import { publishAs } from "./traffic.ts";
import { within } from "./within.ts";

/** What happens to the gateway after so many acknowledgements, and so many milliseconds later. */
export interface Trouble {
  readonly afterAcks: number;
  readonly thenMs: number;
  readonly is:
    | "kill"
    | "kill, then replay"
    | "kill xmpp"
    | "kill both"
    | "hang"
    | "full"
    | "no room at all"
    | "kill while full";
  /** How long it lasts, milliseconds; of a kill: until the next start. */
  readonly forMs: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Brings it about, and resolves when it is over. */
export async function cause(stage: Stage, { is, forMs }: Trouble): Promise<void> {
  if (is === "kill" || is === "kill, then replay") await kill(stage, { forMs, isReplayed: is !== "kill" });
  else if (is === "kill xmpp" || is === "kill both")
    await killXmpp(stage, { forMs, isBoth: is !== "kill xmpp" });
  else if (is === "hang") await hang(stage, forMs);
  else await fill(stage, { is, forMs });
  const faults = unbalanced(await stage.ground.attachments());
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

async function kill(stage: Stage, how: { forMs: number; isReplayed: boolean }): Promise<void> {
  const { ground, relay, coap } = stage;
  stage.kills.push(await ground.kill());
  relay.isShut = how.isReplayed;
  coap.relay.isShut = how.isReplayed;
  await pause(how.forMs);
  await ground.start();
  if (how.isReplayed) {
    await replay(stage);
    await replayCoap(stage);
  }
  relay.isShut = false;
  coap.relay.isShut = false;
}

/** The XMPP server alone, or the gateway with it, as when the power goes; then the one is back before the other. */
async function killXmpp(stage: Stage, how: { forMs: number; isBoth: boolean }): Promise<void> {
  const { ground, xmpp } = stage;
  if (xmpp === undefined) throw new Error("the stage has no XMPP server");
  const [deadAt] = await Promise.all([how.isBoth ? ground.kill() : undefined, xmpp.kill()]);
  if (deadAt !== undefined) stage.kills.push(deadAt);
  stage.xmppKills.push(Date.now());
  if (deadAt !== undefined) await ground.start();
  await pause(how.forMs);
  await xmpp.start();
}

/** What no datagram of before the kill may bring about: an answer. What it delivers is found by the checks at the end. */
async function replay(stage: Stage): Promise<void> {
  const { ground, relay, book } = stage;
  const recorded = relay.takeRecorded();
  stage.replayed += recorded.length;
  const ids = new Set(recorded.map(({ datagram }) => peekHeader(datagram)?.packetId));
  const answered: string[] = [];
  await using stranger = await relay.open();
  relay.onAnswer = (datagram) => {
    const header = peekHeader(datagram);
    if (
      header !== undefined &&
      /^(ACK|PUBREC|PUBCOMP|HEARTBEAT)$/.test(header.type) &&
      ids.has(header.packetId)
    )
      answered.push(`${header.type} ${header.packetId.toString(16)}`);
  };
  const judged = async (): Promise<number> => {
    // The documented shape of /healthz.
    const { nomq } = (await ground.ask("/healthz")) as {
      nomq: { accepted: number; rejected: Record<string, number> };
    };
    return Object.values(nomq.rejected).reduce((sum, count) => sum + count, nomq.accepted);
  };
  await shoot(recorded, stranger, judged);
  relay.onAnswer = undefined;
  if (answered.length > 0) book.fail(new Error(`replayed datagrams were answered: ${answered.join(", ")}`));
}

/** Less than the 247 s for which a message id is known (RFC 7252 section 4.8.2): a kill on a busy machine takes its time. */
const KNOWN_MS = 200_000;

/**
 * Every transfer of QoS 2 once more: from its own address it is known by its message id (RFC 7252 section 4.5), from
 * any other by its `?id=`. That it is delivered once is found by the checks at the end. Others may be sent again by
 * whoever likes: nothing in plain CoAP tells a repeat from a new request.
 */
async function replayCoap(stage: Stage): Promise<void> {
  const { coap, ground } = stage;
  const recorded = coap.relay.takeRecorded();
  await using stranger = await coap.relay.open();
  await using ping = await openCoapEndpoint(ground.ports.coap);
  let sent = 0;
  for (const { datagram, way, at } of recorded) {
    const queries = queriesOf(datagram);
    if (!queries.includes("qos=2")) continue;
    if (performance.now() - at < KNOWN_MS) way.inject(datagram);
    if (queries.some((each) => each.startsWith("id="))) stranger.inject(datagram);
    sent += 1;
    // Answered after what came before it: a socket holds so many.
    if (sent % 50 === 0) await pong(ping);
  }
  await pong(ping);
  stage.replayed += sent;
}

function queriesOf(datagram: Buffer): readonly string[] {
  const { options } = decodeCoap(datagram);
  return options.filter(([number]) => number === OPTION.uriQuery).map(([, value]) => value.toString());
}

async function pong(endpoint: CoapEndpoint): Promise<void> {
  const { messageId } = endpoint.send({ code: EMPTY });
  const isPong = (packet: CoapPacket): boolean => packet.type === "RST" && packet.messageId === messageId;
  await within(endpoint.next(isPong), () => "an answer to a CoAP ping after replayed datagrams");
}

/** Each datagram once more from its own address and from another, in portions that a socket holds. */
async function shoot(
  recorded: readonly Recorded[],
  stranger: Way,
  judged: () => Promise<number>,
): Promise<void> {
  let sent = 0;
  for (const { datagram, way } of recorded) {
    stranger.inject(datagram);
    way.inject(datagram);
    sent += 2;
    if (sent % 100 !== 0) continue;
    await reach(judged, sent);
  }
  await reach(judged, sent);
}

async function reach(judged: () => Promise<number>, sent: number): Promise<void> {
  let count = 0;
  const reached = async (): Promise<void> => {
    for (;;) {
      count = await judged();
      if (count >= sent) return;
      await pause(5);
    }
  };
  await within(reached(), () => `a judgement of ${sent} replayed datagrams, ${count} were judged`);
}

/** While the store hangs, nothing published is acknowledged, and QoS 0 flows. */
async function hang(stage: Stage, forMs: number): Promise<void> {
  const { ground, book } = stage;
  await ground.tell("SIGUSR2", '"hangs"');
  const probes = probe(stage);
  await flows(stage, ["node", "pub5", "coap"]);
  await pause(forMs);
  const early = probes.filter(({ is }) => is === "acked").map(({ id }) => id);
  if (early.length > 0) throw new Error(`acknowledged while the store hung: ${early.join(", ")}`);
  await ground.tell("SIGUSR2", '"healed"');
  await book.until(() => probes.every(({ is }) => is !== "sent"), {
    missing: () =>
      `answers after the store hung: ${probes
        .filter(({ is }) => is === "sent")
        .map(({ id }) => id)
        .join(", ")}`,
  });
}

/** While the disk is full QoS 1 and 2 is refused or waits, never acknowledged and lost; it heals by itself. */
async function fill(stage: Stage, { is, forMs }: Pick<Trouble, "is" | "forMs">): Promise<void> {
  const { ground, book, disk } = stage;
  if (disk === undefined) throw new Error("the stage has no disk of its own");
  // What the store keeps for such a time is there a moment after its start.
  await book.until(() => existsSync(join(disk.path, "store/reserve")), {
    missing: () => "the store's reserve",
  });
  disk.fill(is === "no room at all" ? 0 : LITTLE);
  const refused = (by: (party: string) => boolean): number =>
    book.sent.filter((one) => one.is === "refused" && by(one.party)).length;
  for (const by of [(party: string) => party !== "coap", (party: string) => party === "coap"]) {
    const before = refused(by);
    await book.until(() => refused(by) > before, { missing: () => "a refusal on the full disk" });
  }
  await flows(stage, ["pub5", "coap"]);
  await pause(forMs);
  if (is === "kill while full") {
    stage.kills.push(await ground.kill());
  }
  disk.free();
  if (is === "kill while full") await ground.start();
  const acked = book.acked;
  await book.until(() => book.acked > acked + 20, {
    missing: () => "acknowledgements after there was room again",
  });
}

/** QoS 0 arrives; each may be lost, as right after a start, so another follows. */
async function flows(stage: Stage, parties: readonly ("node" | "pub5" | "coap")[]): Promise<void> {
  const { book } = stage;
  const sent: Sent[] = [];
  const send = (): void => {
    for (const party of parties) {
      const one = book.send({ party, channel: `q/${party}`, qos: 0 });
      sent.push(one);
      void publish(stage, one);
    }
  };
  const again = setInterval(send, 300);
  const isHere = (party: string, by: string): boolean =>
    sent.some((one) => one.party === by && book.copies(party).has(one.id));
  try {
    await book.until(() => parties.every((by) => isHere("sub4", by) && isHere("sub5", by)), {
      missing: () => "QoS 0 while the store takes nothing",
    });
  } finally {
    clearInterval(again);
  }
}

/** One message from each publisher, on a channel that nothing else is sent on. */
function probe(stage: Stage): readonly Sent[] {
  const probes = (["node", "pub4", "pub5", "coap"] as const).flatMap((party) =>
    ([1, 2] as const).map((qos) => stage.book.send({ party, channel: `t/${party}/probe${qos}`, qos })),
  );
  for (const sent of probes) void publish(stage, sent);
  return probes;
}

async function publish(stage: Stage, sent: Sent): Promise<void> {
  const party = (["node", "pub4", "coap"] as const).find((each) => each === sent.party) ?? "pub5";
  try {
    await publishAs(stage, party)(sent);
  } catch (error) {
    stage.book.fail(error instanceof Error ? error : new Error(String(error)));
  }
}
