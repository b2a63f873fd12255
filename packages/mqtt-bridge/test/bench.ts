import type { MqttBridge, MqttBridgeOptions } from "../src/index.ts";
import { createMqttBridge } from "../src/index.ts";
import type { RawClient, RawOptions } from "./raw-client.ts";
import { connectRaw } from "./raw-client.ts";
import type { ToyHub } from "./toy-hub.ts";
import { createToyHub } from "./toy-hub.ts";

/** A started bridge on a hub that does what the test says. */
export interface Bench extends AsyncDisposable {
  readonly hub: ToyHub;
  readonly bridge: MqttBridge;
  readonly port: number;
  /** What a process that is killed now would leave, under another bridge. The clock goes on, or is set meanwhile; options may be others. */
  killed(clockSetBy?: number, other?: MqttBridgeOptions): Promise<Bench>;
  client(options?: Omit<RawOptions, "port">): Promise<RawClient>;
  /** A client subscribed to the filter. */
  subscriber(filter: string, qos?: 0 | 1 | 2, options?: Omit<RawOptions, "port">): Promise<RawClient>;
  /** The broker has seen the end of every client that has ended here: what comes now finds its session alone. */
  gone(): Promise<void>;
}

export async function startBench(options?: MqttBridgeOptions, hub: ToyHub = createToyHub()): Promise<Bench> {
  const bridge = createMqttBridge(options ?? { listen: ["mqtt://127.0.0.1:0"] });
  await bridge.attach(hub.port);
  await bridge.start();
  const port = Number(new URL(bridge.addresses()[0] ?? "").port);
  const clients: RawClient[] = [];
  const client = async (given: Omit<RawOptions, "port"> = {}): Promise<RawClient> => {
    const made = await connectRaw({ port, ...given });
    clients.push(made);
    return made;
  };
  /** A socket that is closed here need not be closed there yet: the kernel may be busy with others. */
  const hasSeenEnds = (): boolean => {
    const ends = hub.recorded.filter(({ what }) => what === "client.disconnected").length;
    return ends >= clients.filter((one) => one.socket.closed && wasLetIn(one)).length;
  };
  return {
    hub,
    bridge,
    port,
    client,
    async killed(clockSetBy = 0, other = options) {
      hub.clock.step(clockSetBy);
      const next = createToyHub({ clock: hub.clock, state: [...hub.state.values()], clockSetBy });
      return await startBench(other, next);
    },
    async subscriber(filter, qos = 0, given = {}) {
      const made = await client(given);
      made.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos }] });
      await made.take("suback");
      return made;
    },
    async gone() {
      while (!hasSeenEnds()) await new Promise((resolve) => setImmediate(resolve));
      // aedes hears of it some turns later.
      await using other = await connectRaw({ port });
      await other.settled();
    },
    async [Symbol.asyncDispose]() {
      hub.holding = false;
      hub.holdingState = false;
      for (const { land } of hub.remembering) land();
      for (const one of hub.published) one.answer({});
      await bridge.stop();
      for (const one of clients) await one.end();
    },
  };
}

const wasLetIn = ({ got: [first] }: RawClient): boolean =>
  first?.cmd === "connack" && (first.reasonCode ?? first.returnCode ?? 0) === 0;
