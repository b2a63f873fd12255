import {
  type Attachment,
  createHub,
  createMemoryStore,
  type Delivery,
  type Draft,
  type Hub,
  type HubOptions,
  type Message,
  type Outcome,
  type Peer,
  type Port,
  type PublishOptions,
  type Receipt,
  type Store,
} from "@nomq/core";
import { createFakeClock, type FakeClock, settle } from "@nomq/core/testing";

/** One call of a peer's `deliver`, which the test answers. */
export interface Call {
  readonly message: Message;
  readonly delivery: Delivery;
  readonly text: string;
  isOpen: boolean;
  answer(outcome?: Outcome): Promise<void>;
}

/** A peer that records its calls; by itself it answers nothing. */
export interface Recorder {
  readonly calls: Call[];
  readonly texts: readonly string[];
  readonly peer: Peer;
}

export interface Rig extends AsyncDisposable {
  readonly hub: Hub;
  readonly port: Port;
  readonly clock: FakeClock;
  readonly store: Store;
  publish(draft: Partial<Draft> & { text?: string }, options?: PublishOptions): Promise<Receipt>;
  attach(recorder: Recorder): Promise<Attachment>;
}

const DELIVERED: Outcome = { is: "delivered" };

/** A started hub on a fake clock. */
export async function createRig(options: HubOptions & { clock?: FakeClock } = {}): Promise<Rig> {
  const clock = options.clock ?? createFakeClock();
  const store = options.store ?? createMemoryStore({ clock });
  const hub = createHub({ ...options, clock, store });
  await hub.start();
  const port = hub.port("test");
  return {
    hub,
    port,
    clock,
    store,
    publish: ({ text = "", ...draft }, publishOptions) =>
      port.publish({ channel: "a/b", payload: Buffer.from(text), ...draft }, "anonymous", publishOptions),
    attach: async (recorder) => {
      const attachment = await port.attach(recorder.peer);
      await settle();
      return attachment;
    },
    [Symbol.asyncDispose]: () => closeInTime(hub, clock),
  };
}

/** Disposes while the fake clock runs, as calls that never answer need. */
export async function closeInTime(closing: AsyncDisposable, clock: FakeClock): Promise<void> {
  let isClosed = false;
  const close = async (): Promise<void> => {
    await closing[Symbol.asyncDispose]();
    isClosed = true;
  };
  const closed = close();
  await settle();
  for (let seconds = 0; seconds < 30 && !isClosed; seconds += 1) await clock.advance(1_000);
  await closed;
}

/** A peer that answers by itself when `mode` is `well`, else when the test says. */
export function createRecorder(
  description: Partial<Omit<Peer, "deliver">> = {},
  mode: "well" | "asks" = "well",
): Recorder {
  const calls: Call[] = [];
  const deliver = (message: Message, delivery: Delivery): Promise<Outcome> =>
    new Promise((resolve) => {
      const call: Call = {
        message,
        delivery,
        text: Buffer.from(message.payload).toString(),
        isOpen: true,
        answer: (outcome = DELIVERED) => {
          call.isOpen = false;
          resolve(outcome);
          return settle();
        },
      };
      calls.push(call);
      if (mode === "well") void call.answer();
    });
  return {
    calls,
    get texts() {
      return calls.map((call) => call.text);
    },
    peer: { name: "peer", as: "anonymous", filters: ["#"], durable: false, ...description, deliver },
  };
}

/** The last call of a recorder. */
export function lastCall(recorder: Recorder): Call {
  const call = recorder.calls.at(-1);
  if (call === undefined) throw new Error("the peer was not called");
  return call;
}

export { settle };
