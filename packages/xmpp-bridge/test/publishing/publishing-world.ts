import type { Draft, Hub, Port, Receipt } from "@nomq/core";
import { createHub, createMemoryStore, type Store } from "@nomq/core";
import { createFakeClock, type FakeClock } from "@nomq/core/testing";
import { createExpiries, type Expiries } from "../../src/publishing/expiries.ts";
import { createKnownNodes } from "../../src/publishing/known-nodes.ts";
import { createPublisher, type Publisher } from "../../src/publishing/publisher.ts";
import { createToyService, type ToyService } from "./toy-service.ts";

/** Publishing between a real hub and a toy service. */
export interface PublishingWorld extends AsyncDisposable {
  readonly hub: Hub;
  readonly port: Port;
  readonly clock: FakeClock;
  readonly toy: ToyService;
  readonly publisher: Publisher;
  readonly expiries: Expiries;
  /** What publishing told, as `refused a forbidden`. */
  readonly told: readonly string[];
  publish(draft: Omit<Draft, "payload"> & { readonly text: string }): Promise<Receipt>;
  /** The outcome at the service of a message. */
  outcome(id: string): Promise<string | undefined>;
  /** The hub sends all state anew, as at a start. */
  repair(): Promise<void>;
  /** Moves the clock on until nothing is pending. */
  rest(): Promise<void>;
}

export interface WorldSetup {
  readonly toy?: ToyService;
  readonly store?: Store;
  readonly clock?: FakeClock;
}

/** Starts one. */
export async function startPublishing(setup: WorldSetup = {}): Promise<PublishingWorld> {
  const { toy = createToyService(), store = createMemoryStore(), clock = createFakeClock() } = setup;
  const hub = createHub({ store, clock });
  const told: string[] = [];
  const tell = (what: string): void => void told.push(what);
  await hub.start();
  const port = hub.port("xmpp");
  const expiries = createExpiries({
    clock,
    async retract({ node, item }) {
      tell(`expired ${node} ${item}`);
      return "gone";
    },
    remember: (changes) => port.remember(changes),
    overflow: () => tell("overflow"),
  });
  for await (const [key, value] of port.state()) expiries.restore(key, value, port.clockSetBy());
  const publisher = createPublisher({
    ...{ port, link: toy.link, nodes: toy.nodes, pubsub: "pubsub.localhost", gateway: "gw" },
    ...{ known: createKnownNodes(), expiries },
    sent: () => undefined,
    tell: {
      noService: (reason) => tell(`no-service ${reason}`),
      taken: () => undefined,
      refused: (channel, reason) => tell(`refused ${channel} ${reason}`),
      poison: ({ channel }, reason) => tell(`poison ${channel} ${reason}`),
      unheard: (channel, reason, isRefused) =>
        tell(`unheard ${channel} ${reason}${isRefused ? ", refused" : ""}`),
      again: () => undefined,
      unchanged: () => tell("unchanged"),
      renewed: () => tell("renewed"),
    },
  });
  const attachment = await port.attach({
    ...{ name: "xmpp:pubsub.localhost", as: "*", filters: ["#"], durable: true, retained: "deliver" },
    ...{ window: 32, ordered: true, echoes: false, deliver: publisher.deliver },
  });
  expiries.resume();
  const outcome = async (id: string): Promise<string | undefined> => {
    const found = (await port.receipt(id))?.outcomes.find((one) => one.attachment === attachment.name);
    return found && (found.reason === undefined ? found.is : `${found.is}: ${found.reason}`);
  };
  return {
    ...{ hub, port, clock, toy, publisher, expiries, told, outcome },
    publish: ({ text, ...draft }) => port.publish({ ...draft, payload: Buffer.from(text) }, "anonymous"),
    async repair() {
      attachment.repair();
      await clock.advance(0);
    },
    async rest() {
      for (let turn = 0; turn < 1000; turn += 1) {
        await clock.advance(turn < 20 ? 0 : 1000);
        if (turn > 2 && attachment.ledger().pending === 0) return;
      }
      throw new Error(`never at rest: ${JSON.stringify(attachment.ledger())}`);
    },
    async [Symbol.asyncDispose]() {
      expiries.pause();
      publisher.failAll("stopping");
      const ended = Promise.resolve(hub[Symbol.asyncDispose]());
      let isOver = false;
      void ended.finally(() => {
        isOver = true;
      });
      while (!isOver) await clock.advance(1000);
      await ended;
    },
  };
}
