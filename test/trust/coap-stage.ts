import type { Book, Sent } from "./book.ts";
import {
  type CoapObserverParty,
  type CoapPublisher,
  openCoapPublisher,
  openObserverParty,
} from "./coap-parties.ts";
import { openActuatorParty, openSensorParty } from "./coap-things.ts";
import { coapPacket, openRelay, type Relay } from "./relay.ts";
import { draws } from "./seed.ts";

/** Everybody who speaks CoAP. */
export interface CoapStage extends AsyncDisposable {
  /** In front of the gateway's CoAP port. */
  readonly relay: Relay;
  /** The gateway's configuration. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Connects those who come to the gateway, once it runs; resolves when all relations are there. */
  open(): Promise<void>;
  publish(sent: Sent): Promise<void>;
  /** Changes a resource of the sensor. */
  change(sent: Sent): void;
  /** What the observer saw that breaks the rules. */
  faults(): readonly string[];
}

/** What it is made of. */
export interface CoapStageOptions {
  readonly seed: number;
  readonly book: Book;
  /** Where the gateway listens. */
  readonly port: number;
  /** What is observed; channels of the sensor are what the gateway observes. */
  readonly channels: readonly string[];
}

/** Through loss a relation may end: five transmissions in a row go wrong. Who hears nothing for so long asks again. */
const SILENCE_MS = 15_000;

/** Opens sensor and actuator, and the ways of the others. */
export async function openCoapStage({ seed, book, port, channels }: CoapStageOptions): Promise<CoapStage> {
  await using stack = new AsyncDisposableStack();
  const relay = stack.use(openRelay(port, draws(seed, "coap relay"), coapPacket));
  const loss = (): number => relay.loss;
  const thing = (name: string) => ({ name, book, random: draws(seed, name), loss });
  const actuator = stack.use(await openActuatorParty(thing("actuator")));
  const sensor = stack.use(await openSensorParty(thing("sensor")));
  const ways = { publisher: await relay.open(), observer: await relay.open() };
  const publisher: CoapPublisher = stack.use(
    await openCoapPublisher({ name: "coap", way: ways.publisher, book }),
  );
  const resources = channels.filter((channel) => channel.startsWith("r/sensor/"));
  const kept = stack.move();
  let observer: CoapObserverParty | undefined;
  return {
    relay,
    section: {
      listen: [`coap://127.0.0.1:${port}`],
      send: [{ name: "act", from: "s/+", url: `coap://127.0.0.1:${actuator.port}/s`, method: "post" }],
      observe: resources.map((channel) => ({ url: `coap://127.0.0.1:${sensor.port}/${channel}`, channel })),
    },
    async open() {
      const patienceMs = (): number | undefined => (relay.loss > 0 ? SILENCE_MS : undefined);
      observer = kept.use(
        await openObserverParty({ name: "observer", way: ways.observer, book, channels, patienceMs }),
      );
      await observer.ready();
    },
    publish: (sent) => publisher.publish(sent),
    change: (sent) => sensor.change(sent),
    faults: () => observer?.faults ?? [],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
