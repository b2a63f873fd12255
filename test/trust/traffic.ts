import type { Prng } from "@nomq/core/testing";
import type { Letter, Sent } from "./book.ts";
import { openDwindling } from "./dwindling.ts";
import type { BoardParty } from "./nomq-parties.ts";
import { draws } from "./seed.ts";
import { type MqttName, patienceFor, type Stage } from "./stage.ts";

/** Everybody publishes until told to end. Disposed of, nobody begins anything new: a run that failed leaves no publisher. */
export interface Traffic extends Disposable {
  /** Nothing new is published; resolves when all that was is acknowledged, and all who roam are back. */
  end(): Promise<void>;
  /** No new publishes while true. */
  isHeld: boolean;
}

/** One channel of one publisher. */
interface Lane {
  readonly letter: (random: Prng) => Letter;
  readonly publish: (sent: Sent) => Promise<void>;
  /** Messages that may be on their way at once. */
  readonly window: number;
  /** Milliseconds between two, at most. */
  readonly pace: number;
  /** Whether another may be sent now. Default always. */
  readonly mayGo?: () => boolean;
}

const PACE_MS = 40;
const SLOW_MS = 400;
/** Items that the gateway has not brought yet: more than a node keeps would be lost, as is promised (docs/xmpp.md). */
const MOST_MISSED = 200;
/** A board's messages before it is replaced: what it never heard an answer to fills its table. */
const BOARD_MESSAGES = 20;
const BOARD_PATIENCE_MS = 3_000;

/** Starts every publisher and those who come and go. */
export function startTraffic(stage: Stage): Traffic {
  const traffic = { isOver: false, isHeld: false };
  const lanes = lanesOf(stage);
  const work = [
    ...lanes.map((lane, at) => runLane(stage, lane, { traffic, random: draws(stage.seed, `lane ${at}`) })),
    runBoards(stage, traffic),
    roam(stage, "roam4", traffic),
    roam(stage, "roam5", traffic),
    sleep(stage, traffic),
  ];
  for (const each of work) each.catch((error: unknown) => stage.book.fail(asError(error)));
  const stop = (): void => {
    traffic.isOver = true;
    stage.book.touch();
  };
  return {
    get isHeld() {
      return traffic.isHeld;
    },
    set isHeld(is) {
      traffic.isHeld = is;
    },
    [Symbol.dispose]: stop,
    async end() {
      stop();
      let left = work.length;
      const ending = openDwindling();
      for (const each of work) {
        const one = (): void => {
          left -= 1;
          ending.note(left);
          stage.book.touch();
        };
        each.then(one, one);
      }
      const open = (): readonly string[] =>
        stage.book.sent.filter(({ is }) => is === "sent").map(({ id }) => id);
      await stage.book.until(() => left === 0, {
        missing: () => `${left} publishers have not ended; no answer to ${open().slice(0, 20).join(", ")}`,
        within: Math.max(120_000, patienceFor(stage.relay)),
        since: () => ending.lessAt,
      });
    },
  };
}

type Running = { readonly isOver: boolean; readonly isHeld: boolean };
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Who publishes at QoS 1 and 2. */
const PUBLISHERS = ["node", "pub4", "pub5", "coap"] as const;

/** How a party publishes. */
export function publishAs(stage: Stage, party: (typeof PUBLISHERS)[number]): Lane["publish"] {
  if (party === "node") return (sent) => stage.nodes.node.publish(sent);
  return party === "coap" ? (sent) => stage.coap.publish(sent) : (sent) => stage.mqtt[party].publish(sent);
}

function lanesOf(stage: Stage): readonly Lane[] {
  const by = (party: (typeof PUBLISHERS)[number]): Lane["publish"] => publishAs(stage, party);
  const events = PUBLISHERS.flatMap((party) =>
    ([1, 2] as const).map((qos): Lane => {
      const channel = `t/${party}/${qos}`;
      // Whoever has several open at once by UDP has no order.
      const window = party === "node" || party === "coap" ? 1 : 4;
      return { letter: () => ({ party, channel, qos }), publish: by(party), window, pace: PACE_MS };
    }),
  );
  // What arrives once: a node's transfers are known by their ids, of MQTT those of QoS 2.
  const counted = PUBLISHERS.map((party): Lane => {
    const qos = (random: Prng): 1 | 2 => (party === "node" && random.chance(0.5) ? 1 : 2);
    const letter = (random: Prng): Letter => ({ party, channel: `x/${party}`, qos: qos(random) });
    return { letter, publish: by(party), window: 1, pace: PACE_MS };
  });
  const retained = PUBLISHERS.flatMap((party) =>
    [0, 1, 2].map((at): Lane => {
      const letter = (random: Prng): Letter => ({
        party,
        channel: `r/${party}/${at}`,
        qos: random.chance(0.5) ? 1 : 2,
        retain: true,
        clears: random.chance(0.3),
      });
      return { letter, publish: by(party), window: 1, pace: 4 * PACE_MS };
    }),
  );
  const slow = (["node", "pub5", "coap"] as const).map((party): Lane => {
    const qos = (random: Prng): 1 | 2 =>
      party === "node" || (party === "coap" && random.chance(0.5)) ? 2 : 1;
    const letter = (random: Prng): Letter => ({ party, channel: `s/${party}`, qos: qos(random) });
    return { letter, publish: by(party), window: 1, pace: SLOW_MS };
  });
  const brief: Lane = {
    letter: (random) => {
      const endsAt = Date.now() + random.between(500, 1_500);
      return { party: "pub5", channel: "b/pub5", qos: random.chance(0.5) ? 1 : 2, endsAt };
    },
    publish: by("pub5"),
    window: 1,
    pace: SLOW_MS,
  };
  const unsafe = (["node", "pub5", "coap"] as const).map((party): Lane => {
    const letter = (): Letter => ({ party, channel: `q/${party}`, qos: 0 });
    return { letter, publish: by(party), window: 1, pace: PACE_MS };
  });
  const sensed = [0, 1, 2].map((at): Lane => {
    const letter = (): Letter => ({ party: "sensor", channel: `r/sensor/${at}`, qos: 1, retain: true });
    const publish = (sent: Sent): Promise<void> => Promise.resolve(stage.coap.change(sent));
    return { letter, publish, window: 1, pace: 4 * PACE_MS };
  });
  return [...events, ...counted, ...retained, ...slow, ...unsafe, ...sensed, ...itemLanes(stage), brief];
}

/** Items of somebody else's at the XMPP server. */
function itemLanes({ book, xmpp }: Stage): readonly Lane[] {
  if (xmpp === undefined) return [];
  const missed = new Set<Sent>();
  const mayGo = (): boolean => {
    for (const sent of missed) if (book.copies("sub4").has(sent.id)) missed.delete(sent);
    return missed.size < MOST_MISSED;
  };
  const publish = (sent: Sent): Promise<void> => {
    if (!sent.retain) missed.add(sent);
    return xmpp.publish(sent);
  };
  const letters: readonly Lane["letter"][] = [
    () => ({ party: "jab", channel: "t/jab/1", qos: 1 }),
    () => ({ party: "jab", channel: "x/jab", qos: 2 }),
    (random) => ({
      ...{ party: "jab", channel: "r/jab/0", qos: random.chance(0.5) ? 1 : 2 },
      ...{ retain: true, clears: random.chance(0.3) },
    }),
  ];
  return letters.map((letter): Lane => ({ letter, publish, window: 1, pace: SLOW_MS, mayGo }));
}

async function runLane(
  { book, slowness }: Stage,
  lane: Lane,
  { traffic, random }: { traffic: Running; random: Prng },
): Promise<void> {
  const open = new Set<Promise<void>>();
  while (!traffic.isOver) {
    await pause(random.between(0, lane.pace) * slowness);
    if (traffic.isHeld || lane.mayGo?.() === false) continue;
    const work = lane.publish(book.send(lane.letter(random)));
    open.add(work);
    // One that fails stays, and ends the lane.
    work.then(
      () => open.delete(work),
      () => undefined,
    );
    if (open.size >= lane.window) await Promise.race(open);
  }
  await Promise.all(open);
}

/** One board after the other, each at an address of its own. */
async function runBoards(stage: Stage, traffic: Running): Promise<void> {
  const random = draws(stage.seed, "boards");
  while (!traffic.isOver) {
    await using board = await stage.newBoard();
    for (let left = BOARD_MESSAGES; left > 0 && !traffic.isOver; left -= 1) {
      await pause(random.between(0, 2 * PACE_MS));
      if (!traffic.isHeld) await talk(stage, board, random);
    }
  }
}

async function talk(stage: Stage, board: BoardParty, random: Prng): Promise<void> {
  const qos = random.chance(0.5) ? 1 : 2;
  const channel = random.chance(0.5) ? "x/board" : `t/board/${qos}`;
  const kills = stage.kills.length;
  const until = Date.now() + BOARD_PATIENCE_MS;
  const sent = stage.book.send({ party: "talker", channel, qos });
  await board.publish(sent, () => Date.now() > until || (stage.kills.length > kills && stage.ground.isUp));
}

/** Comes and goes, as phones do. */
async function roam(stage: Stage, name: MqttName, traffic: Running): Promise<void> {
  const random = draws(stage.seed, name);
  const party = stage.mqtt[name];
  const some = async (): Promise<void> => {
    const at = stage.book.acked + random.between(20, 300);
    await stage.book.until(() => traffic.isOver || stage.book.acked >= at, {
      missing: () => `${at} acknowledgements for ${name}`,
      within: 600_000,
    });
  };
  while (!traffic.isOver) {
    await some();
    party.leave(random.chance(0.5) ? "cut" : "politely");
    await some();
    party.comeBack();
    await party.ready();
  }
}

/** Is away while what ends soon is published, and comes back when all of it is over. */
async function sleep({ book, mqtt }: Stage, traffic: Running): Promise<void> {
  mqtt.sleeper.leave("politely");
  const briefs = () => book.sent.filter(({ channel }) => channel.startsWith("b/"));
  await book.until(
    () =>
      traffic.isOver &&
      briefs().every(
        ({ is, endsAt = 0 }) => is !== "sent" && Math.ceil(endsAt / 1000) * 1000 + 1_000 < Date.now(),
      ),
    { missing: () => "the end of all that ends soon", within: 3_600_000 },
  );
  mqtt.sleeper.comeBack();
  await mqtt.sleeper.ready();
}
