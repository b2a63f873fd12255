import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { filterMatches } from "@nomq/core";
import { type TestFolder, testFolder } from "../../packages/gateway/test/launch.ts";
import { type Book, openBook } from "./book.ts";
import { type CoapStage, openCoapStage } from "./coap-stage.ts";
import { type Ground, groundPorts, openGround, siteKey } from "./ground.ts";
import { type MqttParty, openMqttParty } from "./mqtt-party.ts";
import { type BoardParty, type NodeParty, openBoardParty, openNodeParty } from "./nomq-parties.ts";
import { openRelay, type Relay } from "./relay.ts";
import { draws } from "./seed.ts";
import { mountSmallDisk, type SmallDisk } from "./small-disk.ts";
import { within } from "./within.ts";
import { HAS_XMPP, openXmppStage, type XmppStage } from "./xmpp-stage.ts";

/** Who receives what. Events are `t/` and `x/`, retained values `r/`, slow ones for the board `s/`, soon over `b/`, at QoS 0 `q/`. */
export const FILTERS: Readonly<Record<string, readonly string[]>> = {
  node: ["t/#", "q/#"],
  counter: ["x/#"],
  keeper: ["r/#"],
  board: ["s/node", "s/pub5"],
  actuator: ["s/#"],
  ...(HAS_XMPP ? { jabber: ["s/#", "r/+/1"] } : {}),
  observer: ["r/#"],
  sub4: ["t/#", "x/#", "r/#", "s/#", "q/#"],
  sub5: ["t/#", "x/#", "r/#", "s/#", "q/#"],
  roam4: ["t/#", "x/#", "r/#"],
  roam5: ["t/#", "x/#", "r/#"],
  sleeper: ["b/#"],
};

/** Every channel with a state. */
const RETAINED: readonly string[] = [
  ...["node", "pub4", "pub5", "coap", "sensor"].flatMap((party) => [0, 1, 2].map((at) => `r/${party}/${at}`)),
  "r/jab/0",
];

/** What the gateway reads from the XMPP server, and writes to it. */
const FROM_XMPP: readonly string[] = ["t/jab/1", "x/jab", "r/jab/0"];
const TO_XMPP: readonly string[] = [
  ...["s/node", "s/pub5", "s/coap"],
  ...["node", "pub4", "pub5", "coap", "sensor"].map((party) => `r/${party}/1`),
];

/** Every channel that NoMQ carries, for names do not. */
const CHANNELS: readonly string[] = [
  ...["node", "pub4", "pub5", "coap", "board"].flatMap((party) => [
    `t/${party}/1`,
    `t/${party}/2`,
    `t/${party}/probe1`,
    `t/${party}/probe2`,
    `x/${party}`,
  ]),
  ...new Set([...RETAINED, ...FROM_XMPP]),
  "s/node",
  "s/pub5",
  "q/node",
  "q/pub5",
  "q/coap",
];

/** Whether a party must get what is published on a channel. */
export const isFor = (receiver: string, channel: string): boolean =>
  FILTERS[receiver]?.some((filter) => filterMatches(filter, channel)) === true;

/** All that a run stands on. */
export interface Stage extends AsyncDisposable {
  readonly seed: number;
  readonly slowness: number;
  readonly disk: SmallDisk | undefined;
  readonly book: Book;
  readonly ground: Ground;
  /** In front of NoMQ. */
  readonly relay: Relay;
  readonly coap: CoapStage;
  /** Absent where no XMPP server is installed. */
  readonly xmpp: XmppStage | undefined;
  readonly nodes: Readonly<Record<"node" | "counter" | "keeper", NodeParty>>;
  readonly board: BoardParty;
  readonly mqtt: Readonly<Record<MqttName, MqttParty>>;
  /** A new board with an address of its own. */
  newBoard(): Promise<BoardParty>;
  /** When the gateway was dead each time it was killed, Unix milliseconds. */
  readonly kills: number[];
  /** The same of the XMPP server. */
  readonly xmppKills: number[];
  /** How many datagrams were repeated after a kill. */
  replayed: number;
}

export type MqttName = (typeof MQTT)[number];
const MQTT = ["pub4", "pub5", "sub4", "sub5", "roam4", "roam5", "sleeper"] as const;
const NODES = ["node", "counter", "keeper"] as const;

/** What differs from a gateway of its own on this machine's disk. */
export interface StageOptions {
  readonly seed: number;
  /** Another program than the gateway itself. */
  readonly main?: string;
  /** A disk of so many MiB. */
  readonly diskMiB?: number;
  /** Publishers wait so many times longer between two messages. Default 1. */
  readonly slowness?: number;
}

/**
 * How long, in milliseconds, nothing of what is missing may arrive. One message goes to a node at a time on each channel;
 * one whose datagrams are lost eight times, each way at a fifth once in 3,500, is sent again after three minutes, and
 * another that fails as often waits for it.
 */
export function patienceFor({ loss }: Relay): number {
  // Less than the 60 s after which observers and sensors are asked and told anew: what was forgotten must not heal by that.
  return loss > 0 ? 400_000 : 30_000;
}

/** Opens everybody and starts the gateway; all are connected when it resolves. */
export async function openStage({ seed, main, diskMiB, slowness = 1 }: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const folder: TestFolder = stack.use(testFolder());
  mkdirSync(join(folder.path, "data"), { mode: 0o700 });
  const disk =
    diskMiB === undefined ? undefined : stack.use(await mountSmallDisk(join(folder.path, "data"), diskMiB));
  const book = openBook();
  const ports = await groundPorts();
  const relay = stack.use(openRelay(ports.nomq, draws(seed, "relay")));
  const ways = {
    node: await relay.open(),
    counter: await relay.open(),
    keeper: await relay.open(),
    board: await relay.open(),
  };
  const coap = stack.use(await openCoapStage({ seed, book, port: ports.coap, channels: RETAINED }));
  const xmpp = stack.use(await openXmppStage({ book, reader: "jabber", written: TO_XMPP, read: FROM_XMPP }));
  const nomq = {
    listen: [`udp://127.0.0.1:${ports.nomq}`],
    keys: [siteKey],
    channels: CHANNELS,
    pace: 50,
    devices: Object.entries(ways).map(([name, way]) => ({
      name,
      address: `127.0.0.1:${way.port}`,
      kind: name === "board" ? "device" : "node",
      subscribe: FILTERS[name],
    })),
  };
  const text = [
    `nomq: ${JSON.stringify(nomq)}`,
    `mqtt: ${JSON.stringify({ listen: [`mqtt://127.0.0.1:${ports.mqtt}`] })}`,
    `coap: ${JSON.stringify(coap.section)}`,
    ...(xmpp === undefined ? [] : [`xmpp: ${JSON.stringify(xmpp.section)}`]),
    "log: { format: json, level: info }\n",
  ].join("\n");
  const ground = stack.use(
    openGround({
      folder,
      ports,
      config: text,
      died: (why) => book.fail(why),
      ...(main !== undefined && { main }),
      ...(disk !== undefined && { disk }),
    }),
  );
  await ground.start();
  const nodes = {} as Record<(typeof NODES)[number], NodeParty>;
  for (const name of NODES) {
    nodes[name] = stack.use(await openNodeParty({ name, way: ways[name], book, channels: CHANNELS }));
  }
  const channels = FILTERS["board"] ?? [];
  const board = stack.use(await openBoardParty({ name: "board", way: ways.board, book, channels }));
  const mqtt = {} as Record<MqttName, MqttParty>;
  for (const name of MQTT) {
    const version = name.endsWith("4") ? 4 : 5;
    mqtt[name] = stack.use(
      openMqttParty({ name, version, port: ports.mqtt, book, filters: FILTERS[name] ?? [] }),
    );
  }
  let subscribed = 0;
  const connected = async (): Promise<void> => {
    await Promise.all(Object.values(mqtt).map((party) => party.ready()));
    await coap.open();
    await xmpp?.ready(async () => {
      // The documented shape of /healthz.
      const { xmpp: side } = (await ground.ask("/healthz")) as {
        xmpp: { receiving?: { subscribed: number } };
      };
      subscribed = side.receiving?.subscribed ?? 0;
      return subscribed;
    });
  };
  await within(connected(), () => {
    const away = Object.values(mqtt).filter(({ isOnline }) => !isOnline);
    return `all connected; without ${away.map(({ name }) => name).join(", ")}; ${subscribed} XMPP nodes read; log and data: ${ground.keep()}`;
  });
  const kept = stack.move();
  let boards = 0;
  return {
    seed,
    slowness,
    disk,
    book,
    ground,
    relay,
    coap,
    xmpp,
    nodes,
    board,
    mqtt,
    kills: [],
    xmppKills: [],
    replayed: 0,
    newBoard: async () => {
      boards += 1;
      const talks = ["t/board/1", "t/board/2", "x/board"];
      return openBoardParty({ name: `talker-${boards}`, way: await relay.open(), book, channels: talks });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
