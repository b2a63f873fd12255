import { isDeepStrictEqual } from "node:util";
import type { ContractCase } from "./bridge-harness.ts";
import { check, startWorld, textOf } from "./contract-world.ts";

const always = (): boolean => true;

const messageIn: ContractCase = {
  name: "a message in reaches the hub once, with its channel, payload, QoS and retain",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const publisher = await world.publisher();
    for (const qos of contract.traits.qos) {
      for (const retain of [false, true]) {
        const text = `qos ${qos} ${retain}`;
        const answer = await world.settled(
          publisher.send({ channel: "contract/a", text, qos, retain }),
          `${text} is acknowledged`,
        );
        check(answer === "acknowledged", `${text} was refused`);
        const found = () => world.recorder.arrivals.filter(({ message }) => textOf(message.payload) === text);
        await world.until(() => found().length > 0, `${text} reaches the hub`);
        await world.stays(() => found().length === 1, `${text} reached the hub more than once`);
        const message = found()[0]?.message;
        check(message?.channel === "contract/a", `${text}: channel ${message?.channel}`);
        check(message.qos === qos, `${text}: QoS ${message.qos}`);
        check(message.retain === retain, `${text}: retain ${message.retain}`);
      }
    }
  },
};

const ttlIn: ContractCase = {
  name: "a message in keeps its time to live",
  applies: (contract) => contract.traits.ttl,
  async run(contract) {
    await using world = await startWorld(contract);
    const publisher = await world.publisher();
    const qos = contract.traits.qos.at(-1) ?? 0;
    await world.settled(
      publisher.send({ channel: "contract/a", text: "brief", qos, ttlSeconds: 20 }),
      "the publish is acknowledged",
    );
    await world.until(() => world.recorder.arrivals.length > 0, "the message reaches the hub");
    const message = world.recorder.arrivals[0]?.message;
    check(message?.expiresAt !== undefined, "the message has no expiry");
    const ttl = message.expiresAt - message.publishedAt;
    check(ttl > 15_000 && ttl <= 20_000, `a time to live of 20 s became ${ttl} ms`);
  },
};

const messageOut: ContractCase = {
  name: "a message out reaches the protocol's side once",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const subscriber = await world.subscriber("contract/a");
    const sent: string[] = [];
    for (const qos of [0, 1, 2] as const) {
      const text = `out ${qos}`;
      sent.push(text);
      const receipt = await world.settled(world.publish({ channel: "contract/a", text, qos }), "stored");
      check(receipt.at !== "refused", `the hub refused it: ${receipt.reason}`);
      await world.until(() => subscriber.seen.length >= sent.length, `${text} reaches the subscriber`);
    }
    await world.settled(world.publish({ channel: "contract/other", text: "no", qos: 1 }), "stored");
    await world.stays(() => subscriber.seen.length === sent.length, "the subscriber got more than was meant");
    const expected = sent.map((text) => ({ channel: "contract/a", text }));
    check(isDeepStrictEqual(subscriber.seen, expected), `seen: ${JSON.stringify(subscriber.seen)}`);
  },
};

const notBack: ContractCase = {
  name: "a message does not come back to where it came from",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const peer = await world.both("contract/a");
    const qos = contract.traits.qos.at(-1) ?? 0;
    await world.settled(peer.send({ channel: "contract/a", text: "mine", qos }), "acknowledged");
    await world.until(() => world.recorder.arrivals.length === 1, "the message reaches the hub");
    await world.settled(world.publish({ channel: "contract/a", text: "yours", qos: 1 }), "stored");
    await world.until(() => peer.seen.some((seen) => seen.text === "yours"), "the hub's message arrives");
    const own = () => peer.seen.filter((seen) => seen.text === "mine").length;
    const { ownCopies } = contract.traits;
    await world.stays(() => own() === ownCopies, `${ownCopies} copies of its own message expected`);
    check(world.recorder.arrivals.length === 2, "a message came back into the hub");
  },
};

const retained: ContractCase = {
  name: "retained state is set, replaced and cleared from the protocol's side",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const publisher = await world.publisher();
    const qos = contract.traits.qos.at(-1) ?? 0;
    for (const text of ["first", "second", ""]) {
      const send = publisher.send({ channel: "contract/b", text, qos, retain: true });
      await world.settled(send, `"${text}" is acknowledged`);
      await world.until(async () => {
        const value = await world.port.latest("contract/b", "anonymous");
        return text === "" ? value === undefined : value !== undefined && textOf(value.payload) === text;
      }, `the hub's retained value becomes "${text}"`);
    }
  },
};

const retainedOut: ContractCase = {
  name: "a new subscriber gets the hub's retained state, never a cleared one",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const set = (channel: string, text: string) =>
      world.settled(world.publish({ channel, text, qos: 1, retain: true }), "stored");
    await set("contract/a", "old");
    await set("contract/a", "new");
    await set("contract/b", "gone");
    await set("contract/b", "");
    const first = await world.subscriber("contract/a");
    const second = await world.subscriber("contract/b");
    await world.until(() => first.seen.length > 0, "the retained value reaches a new subscriber");
    await world.stays(
      () => isDeepStrictEqual(first.seen, [{ channel: "contract/a", text: "new" }]),
      "exactly the last retained value was expected",
    );
    check(!second.seen.some((seen) => seen.text !== ""), "a cleared value was delivered");
    await set("contract/a", "newest");
    await world.until(() => first.seen.at(-1)?.text === "newest", "a replaced value reaches the subscriber");
  },
};

const expired: ContractCase = {
  name: "an expired message is delivered to nobody",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const draft = { channel: "contract/a", qos: 1, retain: true } as const;
    await world.settled(world.publish({ ...draft, text: "brief", ttlMs: 2_000 }), "stored");
    await world.harness.clock.advance(3_000);
    const subscriber = await world.subscriber("contract/a");
    await world.settled(world.publish({ ...draft, text: "lasting" }), "stored");
    await world.until(() => subscriber.seen.some((seen) => seen.text === "lasting"), "what lasts arrives");
    check(!subscriber.seen.some((seen) => seen.text === "brief"), "an expired message was delivered");
  },
};

const unsubscribing: ContractCase = {
  name: "what is unsubscribed is torn down, and so is a peer that leaves",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const stays = await world.subscriber("contract/a");
    const leaves = await world.subscriber("contract/a");
    await world.settled(world.publish({ channel: "contract/a", text: "one", qos: 1 }), "stored");
    await world.until(() => leaves.seen.length === 1 && stays.seen.length === 1, "both get it");
    if (leaves.unsubscribe !== undefined) {
      await world.settled(leaves.unsubscribe(), "the unsubscription is in force");
      await world.settled(world.publish({ channel: "contract/a", text: "two", qos: 1 }), "stored");
      await world.until(() => stays.seen.length === 2, "the one that stays gets it");
      await world.stays(() => leaves.seen.length === 1, "a message after the unsubscription");
    }
    await world.leave(leaves);
    await world.settled(world.publish({ channel: "contract/a", text: "three", qos: 1 }), "stored");
    await world.until(() => stays.seen.at(-1)?.text === "three", "the one that stays gets it");
  },
};

const invalid: ContractCase = {
  name: "an invalid channel is refused and counted, and the peer lives on",
  applies: (contract) => contract.traits.invalidChannel !== undefined,
  async run(contract) {
    await using world = await startWorld(contract);
    const channel = contract.traits.invalidChannel ?? "";
    {
      const publisher = await world.publisher();
      const qos = contract.traits.qos.at(-1) ?? 0;
      let answer: string | undefined;
      // A withheld acknowledgement may end as a closed connection: either is no acknowledgement.
      publisher.send({ channel, text: "bad", qos }).then(
        (given) => {
          answer = given;
        },
        () => {
          answer = "closed";
        },
      );
      await world.until(() => world.harness.refusals() > 0, "the refusal is counted");
      await world.stays(() => answer !== "acknowledged", "an invalid channel was acknowledged");
    }
    check(world.recorder.arrivals.length === 0, "an invalid channel was routed");
    const next = await world.publisher();
    const good = next.send({ channel: "contract/a", text: "good", qos: contract.traits.qos.at(-1) ?? 0 });
    await world.settled(good, "a good message is acknowledged");
    await world.until(() => world.recorder.arrivals.length === 1, "and routed");
  },
};

/** What crosses a bridge, and what must not. */
export const messageCases: readonly ContractCase[] = [
  messageIn,
  ttlIn,
  messageOut,
  notBack,
  retained,
  retainedOut,
  expired,
  unsubscribing,
  invalid,
];
