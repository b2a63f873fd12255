import type { Port } from "@nomq/core";
import { actuatorAttachment } from "./actuator.ts";
import type { ActuatorSettings, SensorSettings } from "./client-options.ts";
import type { ClientTallies } from "./counters.ts";
import { createObservation } from "./observation.ts";
import { createPolling, type PollingParts } from "./polling.ts";
import { tokenOf } from "./remembered.ts";
import { createSensor, type Sensor } from "./sensor.ts";
import type { Freshness, SensorState } from "./sensor-state.ts";
import { appendedSegments } from "./write-path.ts";

/** All sensors of one configuration. */
export interface Sensors {
  start(): Promise<void>;
  stop(): Promise<void>;
  states(): readonly SensorState[];
  byState(): Readonly<Record<Freshness, number>>;
}

/** What {@link Sensors} need: what a polling needs, and the hub. */
export interface SensorsParts extends PollingParts {
  readonly port: Port;
  readonly tallies: ClientTallies;
  /** Of the tokens of observations. */
  readonly seed: Uint8Array;
  readonly actuators: readonly ActuatorSettings[];
}

/** Makes them; nothing is sent before `start`. */
export function createSensors(settings: readonly SensorSettings[], parts: SensorsParts): Sensors {
  const { port, tallies, wire, seed } = parts;
  const all = settings.map((one) => {
    const attachment = actuatorOf(one, parts.actuators);
    const sensor = createSensor(one, {
      port,
      random: wire.random,
      tallies,
      ...(attachment === undefined ? {} : { attachment }),
    });
    return { sensor, reader: readerOf(sensor, one) };
  });

  function readerOf(
    sensor: Sensor,
    { every, target, channel }: SensorSettings,
  ): { start(): void; stop(): void } {
    if (every !== undefined) return createPolling(sensor, every, parts);
    return createObservation(sensor, { ...parts, token: tokenOf(seed, { url: target.url, channel }) });
  }
  return {
    async start() {
      for (const { sensor, reader } of all) {
        await sensor.restore();
        reader.start();
      }
    },
    async stop() {
      for (const { reader } of all) reader.stop();
      await Promise.all(all.map(({ sensor }) => sensor.stop()));
    },
    states: () => all.map(({ sensor }) => sensor.state()),
    byState() {
      const counts = { waiting: 0, fresh: 0, stale: 0, gone: 0 };
      for (const { sensor } of all) counts[sensor.state().state] += 1;
      return counts;
    },
  };
}

/** The `send` entry that writes the very resource of this sensor: what it wrote is not news when it comes back. */
function actuatorOf(
  { target, channel }: SensorSettings,
  actuators: readonly ActuatorSettings[],
): string | undefined {
  const same = actuators.find((each) => {
    // One that is written from many channels writes many resources, and none of them is this URL alone.
    const isOne = each.from === channel && appendedSegments(each.from, channel)?.length === 0;
    return isOne && each.target.url === target.url;
  });
  return same === undefined ? undefined : actuatorAttachment(same.name);
}
