import { codeOf, type Message, type Port } from "@nomq/core";
import { secureRandom } from "../messaging/secure-random.ts";
import { createActuator } from "./actuator.ts";
import { type ClientOptions, clientSettings } from "./client-options.ts";
import { type ClientSocket, type OpenTransport, openClientSocket } from "./client-socket.ts";
import type { ClientCounts } from "./counters.ts";
import { createClientTallies } from "./counters.ts";
import { createLookup, type Resolve, systemResolve } from "./lookup.ts";
import { type Remembered, readRemembered, remember } from "./remembered.ts";
import type { Wire } from "./request.ts";
import type { SensorState } from "./sensor-state.ts";
import { createSensors, type Sensors } from "./sensors.ts";
import { createTurns } from "./turns.ts";

/** What tests hand in instead of the network. */
export interface ClientParts {
  /** Opens the client's socket, at this port where it is free. Default: UDP, IPv6 and IPv4. */
  readonly open?: OpenTransport;
  /** From 0 to 1; tokens are made of it. Default: the system's random bytes. */
  readonly random?: () => number;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
  /** Told of each message that was written to an actuator. */
  readonly told?: (message: Message) => void;
}

/** The bridge as a client: sensors that are observed or polled, actuators that are written to. */
export interface CoapClient {
  /** Claims the attachments `coap:send:NAME` and reads what was remembered; opens no socket. */
  attach(port: Port): Promise<void>;
  /** Opens the socket, begins with all sensors, lets actuators be written to. */
  start(): Promise<void>;
  /** Ends observations, reads and writes. Idempotent; works before and after a failed start. */
  stop(): Promise<void>;
  sensors(): readonly SensorState[];
  counts(): ClientCounts;
}

/** What runs between `start` and `stop`. */
interface Running {
  readonly socket: ClientSocket;
  readonly sensors: Sensors;
}

const NONE = { waiting: 0, fresh: 0, stale: 0, gone: 0 } as const;

/** Makes the client; opens nothing. Throws `config-invalid` or `not-available-yet`. */
export function createClient(options: ClientOptions, parts: ClientParts = {}): CoapClient {
  const settings = clientSettings(options);
  const { open, random = secureRandom, resolve = systemResolve, told = () => undefined } = parts;
  const isIdle = settings.sensors.length === 0 && settings.actuators.length === 0;
  const tallies = createClientTallies();
  const actuators = settings.actuators.map((each) => createActuator(each, tallies));
  let attached: { readonly port: Port; readonly known: Remembered } | undefined;
  let running: Running | undefined;
  let last: readonly SensorState[] = [];

  const openSocket = async (port: Port, { port: used, seed }: Remembered): Promise<ClientSocket> => {
    const { clock, log } = port;
    const socket = await openClientSocket({
      ...{ clock, log, random },
      ...(open === undefined ? {} : { open }),
      ...(used === undefined ? {} : { port: used }),
    });
    if (socket.port === used) return socket;
    // Not waited for: without it a restart costs sensors a second relation for a while, and a store may be full.
    remember(port, { seed, port: socket.port }).catch((error: unknown) =>
      log.warn("the CoAP client's port cannot be remembered", { error: codeOf(error) }),
    );
    return socket;
  };
  const run = async (port: Port, known: Remembered): Promise<void> => {
    const socket = await openSocket(port, known);
    const { messaging } = socket;
    const wire: Wire = { messaging, clock: port.clock, random };
    const lookup = createLookup(resolve, (at) => messaging.remoteAt(at));
    const using = { wire, lookup, turns: createTurns(), tallies };
    const { seed } = known;
    const sensors = createSensors(settings.sensors, { ...using, port, seed, actuators: settings.actuators });
    running = { socket, sensors };
    for (const actuator of actuators) actuator.begin({ ...using, told });
    await sensors.start();
  };
  return {
    async attach(port) {
      if (isIdle) return;
      attached = { port, known: await readRemembered(port, random) };
      for (const actuator of actuators) await actuator.attach(port);
    },
    async start() {
      if (attached === undefined || running !== undefined) return;
      await run(attached.port, attached.known);
    },
    async stop() {
      const ending = running;
      running = undefined;
      attached = undefined;
      await Promise.all([ending?.sensors.stop(), ...actuators.map((actuator) => actuator.detach())]);
      if (ending === undefined) return;
      last = ending.sensors.states();
      await ending.socket[Symbol.asyncDispose]();
    },
    sensors: () => running?.sensors.states() ?? last,
    counts: () => ({
      sensors: running?.sensors.byState() ?? NONE,
      values: tallies.values.total(),
      requests: tallies.requests.total(),
      refused: tallies.refused.read(),
      writes: tallies.writes.read(),
    }),
  };
}
