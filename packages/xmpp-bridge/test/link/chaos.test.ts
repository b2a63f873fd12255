import { setTimeout as pass } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type Fault, type FaultyLink, openFaultyLink, seeded } from "../../../../test/real/faulty-link.ts";
import { type Prosody, startProsody } from "../../../../test/real/prosody.ts";
import type { Link } from "../../src/link/link.ts";
import { itemsOf } from "../../src/nodes/pubsub-request.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import { type Linked, linked } from "./linked.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const seeds = isLong ? [1, 2, 3] : [1];
const RUN_MS = isLong ? 30_000 : 3_000;
const BETWEEN_PUBLISHES_MS = 10;
/** Prosody writes the whole history with each item: what is published faster than that would only wait. */
const MOST_UNDER_WAY = 100;

/** Quick to see that a connection is dead, as a test of many faults must be. */
const QUICK = {
  ...{ answerMs: 1_500, askAfterMs: 300, deadAfterMs: 1_500 },
  ...{ firstDelayMs: 20, longestDelayMs: 300, stableMs: 1_000 },
};

const pubsub = (child: Element): Element => element("pubsub", { xmlns: Namespace.pubsub }, [child]);
const request = (type: "get" | "set", child: Element): Element =>
  element("iq", { type, to: "pubsub.localhost" }, [pubsub(child)]);
const publish = (id: string): Element =>
  request(
    "set",
    element("publish", { node: "n" }, [
      element("item", { id }, [element("json", { xmlns: Namespace.json }, [id])]),
    ]),
  );

interface Run {
  readonly seed: number;
  /** Unix milliseconds. */
  readonly until: number;
}

/** Where faults come from; the same for a seed. */
async function faults(link: FaultyLink, server: Prosody, run: Run): Promise<void> {
  const random = seeded(run.seed);
  const lasting = (fault: Fault, ms: number) => async () => {
    link.fault(fault);
    await pass(ms);
    link.heal();
  };
  const restart = (signal: "SIGTERM" | "SIGKILL") => async () => {
    await server.end(signal);
    await pass(100);
    await server.start();
  };
  const kinds = [
    ...[lasting("cut", 0), lasting("reset", 0), lasting("refuse", 200), lasting("silence", 300)],
    // Shorter and longer than it takes to see that nothing is heard.
    ...[lasting("stall", 200), lasting("stall", 2_300), restart("SIGKILL"), restart("SIGTERM")],
  ];
  while (Date.now() < run.until) {
    await pass(100 + random() * 400);
    await kinds[Math.floor(random() * kinds.length)]?.();
  }
}

/** Items as a reader without faults sees them first: told, or read after each new session. */
function reader(it: Linked): readonly string[] {
  const seen = new Set<string>();
  const order: string[] = [];
  const take = (items: readonly Element[]): void => {
    for (const item of items) {
      const { id = "" } = item.attrs;
      if (!seen.has(id)) order.push(id);
      seen.add(id);
    }
  };
  // Live items wait until those before them are read.
  let live: (readonly Element[])[] | undefined;
  it.link.onStanza((stanza) => {
    const event = stanza.getChild("event", Namespace.pubsubEvent)?.getChild("items");
    const items = event?.getChildren("item") ?? [];
    if (live === undefined) take(items);
    else live.push(items);
  });
  it.link.onState((state) => {
    if (state.is !== "online" || state.resumed) return;
    const mine: (readonly Element[])[] = [];
    live = mine;
    void it.link.request(request("set", element("subscribe", { node: "n", jid: state.jid })), {
      first: true,
    });
    void readAll(it.link).then((items) => {
      if (live !== mine) return;
      take(items.toSorted(byId));
      for (const each of mine) take(each);
      live = undefined;
    });
  });
  return order;
}

async function readAll(link: Link): Promise<readonly Element[]> {
  const answer = await link.request(request("get", element("items", { node: "n" })), { first: true });
  return answer.is === "result" ? itemsOf(answer.stanza) : [];
}

/**
 * An item that is sent again goes to the end of its node: read before those after it have followed, it is behind them.
 * What is read once is therefore a set here; order is that of what is told, and of what the node keeps at the end.
 */
const byId = (one: Element, other: Element): number => Number(one.attrs["id"]) - Number(other.attrs["id"]);

async function prepare(server: Prosody): Promise<void> {
  await using it = linked(server.service, { resource: "prepare" });
  const field = (name: string, value: string): Element =>
    element("field", { var: name }, [element("value", {}, [value])]);
  const form = element("x", { xmlns: Namespace.forms, type: "submit" }, [
    field("FORM_TYPE", "http://jabber.org/protocol/pubsub#node_config"),
    field("pubsub#persist_items", "1"),
    field("pubsub#max_items", "256"),
  ]);
  const create = element("pubsub", { xmlns: Namespace.pubsub }, [
    element("create", { node: "n" }),
    element("configure", {}, [form]),
  ]);
  const answer = await it.link.request(element("iq", { type: "set", to: "pubsub.localhost" }, [create]));
  expect(answer).toMatchObject({ is: "result" });
}

describeWithPeers("publishing over a link that fails, to a server that dies", ["prosody"], () => {
  test.each(seeds)(
    "seed %i: none is lost, none comes twice under another id, and order is kept",
    async (seed) => {
      await using server = await startProsody();
      await prepare(server);
      await using faulty = await openFaultyLink(server.port);
      await using writer = linked(`xmpp://127.0.0.1:${faulty.port}`, { times: QUICK, resource: "writer" });
      await using watcher = linked(server.service, { times: QUICK, resource: "reader" });
      const order = reader(watcher);
      await watcher.until("online");
      const until = Date.now() + RUN_MS;
      const made = faults(faulty, server, { seed, until });
      const answers: Promise<string>[] = [];
      while (Date.now() < until) {
        const id = String(answers.length).padStart(6, "0");
        answers.push(writer.link.request(publish(id), { timeoutMs: 60_000 }).then((answer) => answer.is));
        await pass(BETWEEN_PUBLISHES_MS);
        await answers.at(-MOST_UNDER_WAY);
      }
      await made;
      faulty.heal();
      const outcomes = await Promise.all(answers);
      expect(new Set(outcomes)).toEqual(new Set(["result"]));
      const wanted = outcomes.map((_, at) => String(at).padStart(6, "0"));
      await expect.poll(() => order.length).toBeGreaterThanOrEqual(wanted.length);
      expect(order).toEqual(wanted);
      const kept = (await readAll(watcher.link)).map(({ attrs }) => attrs["id"]);
      expect(kept).toEqual(wanted.slice(-256));
    },
  );
});
