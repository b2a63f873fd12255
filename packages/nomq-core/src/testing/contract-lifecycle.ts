import type { Bridge, BridgeStatus } from "../bridge.ts";
import type { BridgeContract, ContractCase } from "./bridge-harness.ts";
import { check, prepareWorld, startWorld } from "./contract-world.ts";

/** Sockets, servers and the like that keep a process alive or a port taken; not timers, not pipes to a runner. */
function openHandles(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => /^(TCP|UDP|TTY|FSEvent|HTTP)/.test(kind))
    .sort();
}

/** Which of them are there now and were not; those of earlier cases may have closed since. */
function opened(before: readonly string[]): string[] {
  const left = [...before];
  return openHandles().filter((kind) => {
    const at = left.indexOf(kind);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

const always = (): boolean => true;

const constructing: ContractCase = {
  name: "constructing opens nothing and promises nothing",
  applies: always,
  async run(contract) {
    const before = openHandles();
    await using harness = await contract.make();
    check(opened(before).length === 0, "making the bridge opened a handle");
    check(harness.bridge.addresses().length === 0, "a bridge that has not started has no addresses");
    check(harness.bridge.status().state !== "ready", "a bridge that has not started is not ready");
  },
};

const attaching: ContractCase = {
  name: "attach opens no socket; only start does",
  applies: always,
  async run(contract) {
    await using harness = await contract.make();
    await using world = prepareWorld(harness);
    const before = openHandles();
    const found: string[] = [];
    // The hub attaches every bridge before it starts any: what this one sees is what attach has done.
    world.hub.add(
      probe(async () => {
        await harness.turn();
        if (opened(before).length > 0) found.push(`attach opened a handle: ${opened(before).join()}`);
        if (harness.bridge.addresses().length > 0) found.push("addresses before start");
        if (harness.bridge.status().state === "ready") found.push("ready before start");
      }),
    );
    await world.settled(world.hub.start(), "the hub starts");
    check(found.length === 0, found.join("; "));
    await world.until(() => harness.bridge.status().state === "ready", "the bridge gets ready");
  },
};

/** A bridge that does one thing when it is attached. */
function probe(attach: () => Promise<void>): Bridge {
  const nothing = (): Promise<void> => Promise.resolve();
  const status: BridgeStatus = { state: "ready", since: 0 };
  return {
    name: "probe",
    attach,
    start: nothing,
    stop: nothing,
    status: () => status,
    async *statusChanges() {
      yield status;
    },
    addresses: () => [],
    [Symbol.asyncDispose]: nothing,
  };
}

const twice: ContractCase = {
  name: "start and stop may be called twice",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const { bridge } = world.harness;
    const addresses = bridge.addresses().join();
    await world.settled(bridge.start(), "the second start resolves");
    check(bridge.addresses().join() === addresses, "the second start changed the addresses");
    const stops = [bridge.stop(), bridge.stop()];
    await world.settled(Promise.all(stops), "two stops at once resolve");
    await world.settled(bridge.stop(), "a stop after the stop resolves");
    check(bridge.status().state === "closed", "closed after stop");
    check(bridge.addresses().length === 0, "no addresses after stop");
  },
};

const failedStart: ContractCase = {
  name: "a failed start rejects, and stop works after it",
  applies: (contract) => contract.makeBroken !== undefined,
  async run(contract) {
    const before = openHandles();
    const make = contract.makeBroken;
    check(make !== undefined, "applies only where start can fail");
    {
      await using harness = await make();
      await using world = prepareWorld(harness);
      const failure = await world.settled(
        world.hub.start().then(
          () => undefined,
          (cause: unknown) => cause,
        ),
        "the start settles",
      );
      check(failure instanceof Error, "start rejects with an error");
      check(harness.bridge.status().state !== "ready", "ready after a failed start");
      await world.settled(harness.bridge.stop(), "stop after a failed start resolves");
      check(harness.bridge.status().state === "closed", "closed after stop");
    }
    check(openHandles().length <= before.length, `left open: ${openHandles().join()}`);
  },
};

const nothingLeft: ContractCase = {
  name: "disposing leaves no handle, timer or attachment behind",
  applies: always,
  async run(contract) {
    const before = openHandles();
    const clock = await busyThenGone(contract);
    for (let turn = 0; turn < 200 && openHandles().length > before.length; turn += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    check(
      openHandles().length <= before.length,
      `left open: ${openHandles().join()}, before: ${before.join()}`,
    );
    check(clock.pending() === 0, `${clock.pending()} timers left`);
  },
};

async function busyThenGone(contract: BridgeContract) {
  await using world = await startWorld(contract);
  const { harness } = world;
  const subscriber = await world.subscriber("contract/a");
  const publisher = await world.publisher();
  await world.settled(
    publisher.send({ channel: "contract/a", text: "hello", qos: highest(contract) }),
    "the publish is acknowledged",
  );
  await world.until(() => subscriber.seen.length > 0, "the subscriber gets it");
  return harness.clock;
}

const highest = (contract: BridgeContract) => contract.traits.qos.at(-1) ?? 0;

const following: ContractCase = {
  name: "statusChanges begins with the current status, is each reader's own, and ends at closed",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const { bridge } = world.harness;
    await world.until(() => bridge.status().state === "ready", "the bridge gets ready");
    const [first, second] = [collect(bridge.statusChanges()), collect(bridge.statusChanges())];
    const stopped = new AbortController();
    const third = collect(bridge.statusChanges({ signal: stopped.signal }));
    stopped.abort();
    await world.settled(third, "an aborted reader ends");
    await world.settled(bridge.stop(), "the bridge stops");
    for (const reader of [first, second]) {
      const seen = await world.settled(reader, "a reader ends once the bridge is closed");
      check(seen[0]?.state === "ready", `begins with ${seen[0]?.state}, not with the current status`);
      check(seen.at(-1)?.state === "closed", `ends with ${seen.at(-1)?.state}`);
    }
  },
};

const slowReader: ContractCase = {
  name: "a slow reader of statusChanges sees the latest status",
  applies: always,
  async run(contract) {
    await using world = await startWorld(contract);
    const { bridge } = world.harness;
    await world.until(() => bridge.status().state === "ready", "the bridge gets ready");
    const reader = bridge.statusChanges()[Symbol.asyncIterator]();
    await reader.next();
    await world.settled(bridge.stop(), "the bridge stops");
    const next = await world.settled(reader.next(), "the reader gets a status");
    check(next.done !== true && next.value.state === "closed", "not the latest status");
    const end = await world.settled(reader.next(), "the reader ends");
    check(end.done === true, "goes on after closed");
  },
};

async function collect(changes: AsyncIterable<BridgeStatus>): Promise<BridgeStatus[]> {
  const seen: BridgeStatus[] = [];
  for await (const status of changes) seen.push(status);
  return seen;
}

/** Construction, attach, start, stop and status. */
export const lifecycleCases: readonly ContractCase[] = [
  constructing,
  attaching,
  twice,
  failedStart,
  nothingLeft,
  following,
  slowReader,
];
