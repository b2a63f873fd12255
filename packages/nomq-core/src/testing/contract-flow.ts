import type { BridgeContract, ContractCase, ContractPublisher } from "./bridge-harness.ts";
import { type ContractWorld, check, startWorld, textOf } from "./contract-world.ts";

const always = (): boolean => true;
const acknowledges = (contract: BridgeContract): boolean => contract.traits.qos.some((qos) => qos > 0);

/** Sends at every acknowledged QoS and says, per text, what the protocol answered so far. */
function sendAll(contract: BridgeContract, publisher: ContractPublisher): Map<string, string> {
  const answers = new Map<string, string>();
  for (const qos of contract.traits.qos.filter((value) => value > 0)) {
    const text = `held ${qos}`;
    answers.set(text, "open");
    publisher.send({ channel: "contract/a", text, qos }).then(
      (answer) => answers.set(text, answer),
      () => answers.set(text, "closed"),
    );
  }
  return answers;
}

const arrived = (world: ContractWorld, text: string): number =>
  world.recorder.arrivals.filter(({ message }) => textOf(message.payload) === text).length;

const heldBack: ContractCase = {
  name: "no acknowledgement leaves before the hub has stored the message; QoS 0 flows; all completes once",
  applies: acknowledges,
  async run(contract) {
    await using world = await startWorld(contract);
    const subscriber = await world.subscriber("contract/b");
    const holder = await world.publisher();
    const other = await world.publisher();
    world.store.hang();
    const answers = sendAll(contract, holder);
    await world.stays(
      () => [...answers.values()].every((answer) => answer === "open"),
      "an acknowledgement left while the store had not answered",
    );
    if (contract.traits.qos.includes(0)) {
      await world.settled(other.send({ channel: "contract/c", text: "in", qos: 0 }), "QoS 0 is sent");
      await world.until(() => arrived(world, "in") === 1, "QoS 0 flows in while the store hangs");
    }
    await world.settled(world.publish({ channel: "contract/b", text: "out", qos: 0 }), "QoS 0 is accepted");
    await world.until(() => subscriber.seen.length === 1, "QoS 0 flows out while the store hangs");
    check(
      [...answers.values()].every((answer) => answer === "open"),
      "an acknowledgement left while the store had not answered",
    );
    world.store.heal();
    await world.until(
      () => [...answers.values()].every((answer) => answer === "acknowledged"),
      "all is acknowledged once the store answers",
    );
    for (const text of answers.keys()) {
      await world.until(() => arrived(world, text) > 0, `${text} is routed`);
      await world.stays(() => arrived(world, text) === 1, `${text} was routed more than once`);
    }
  },
};

const refused: ContractCase = {
  name: "what the hub refuses is not acknowledged: said where the protocol can, else withheld",
  applies: acknowledges,
  async run(contract) {
    await using world = await startWorld(contract);
    const publisher = await world.publisher();
    world.store.fail();
    const answers = sendAll(contract, publisher);
    if (contract.traits.refusal === "said") {
      await world.until(
        () => [...answers.values()].every((answer) => answer !== "open"),
        "the refusal is said",
      );
    }
    await world.stays(
      () => ![...answers.values()].includes("acknowledged"),
      "a message the hub refused was acknowledged",
    );
    check(world.recorder.arrivals.length === 0, "a message the hub refused was routed");
    check(world.harness.refusals() > 0, "the refusal is not counted");
  },
};

const silentPeer: ContractCase = {
  name: "a peer that stops reading delays no other",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const silent = await world.subscriber("contract/a");
    const lively = await world.subscriber("contract/a");
    silent.stall();
    const count = 40;
    for (let number = 0; number < count; number += 1) {
      await world.settled(world.publish({ channel: "contract/a", text: `${number}`, qos: 1 }), "stored");
    }
    await world.until(() => lively.seen.length >= count, "the other subscriber gets everything");
    const texts = lively.seen.map((seen) => seen.text).join();
    check(texts === Array.from({ length: count }, (_, number) => number).join(), `out of order: ${texts}`);
  },
};

const draining: ContractCase = {
  name: "stop finishes what is in flight",
  applies: acknowledges,
  async run(contract) {
    await using world = await startWorld(contract);
    const publisher = await world.publisher();
    world.store.hang();
    const committed = world.store.commits;
    const answers = sendAll(contract, publisher);
    await world.stays(() => world.store.commits === committed, "the store hangs");
    const stopping = world.harness.bridge.stop();
    await world.harness.turn();
    world.store.heal();
    await world.settled(stopping, "stop resolves");
    for (const [text, answer] of answers) {
      // Not acknowledged is allowed: the publisher will send it again. Acknowledged and lost is not.
      check(answer !== "acknowledged" || arrived(world, text) === 1, `${text}: acknowledged, not routed`);
      check(arrived(world, text) <= 1, `${text} was routed more than once`);
    }
    check(world.harness.bridge.status().state === "closed", "closed after stop");
    const names = world.hub.attachments().filter((one) => one.state !== "unclaimed" && !one.durable);
    check(
      names.every((one) => one.name.startsWith("contract:")),
      `attachments left: ${names.map((one) => one.name).join()}`,
    );
  },
};

/** Acknowledgements, refusals, back-pressure and draining. */
export const flowCases: readonly ContractCase[] = [heldBack, refused, silentPeer, draining];
