import { expect } from "vitest";
import type { Bench } from "./bench.ts";
import type { RawClient, RawOptions } from "./raw-client.ts";

/** CONNECT of a session that outlasts its connection. */
export const SESSION = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 1000 } };

/** A client of that session, or another, subscribed to everything at QoS 2 unless said otherwise. */
export async function subscribed(
  bench: Bench,
  subscription: object = {},
  options: Omit<RawOptions, "port"> = SESSION,
): Promise<RawClient> {
  const client = await bench.client(options);
  const subscriptions = [{ topic: "#", qos: 2 as const, ...subscription }];
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  await client.take("suback");
  return client;
}

/** What a client got, in order: `connack`, `suback`, … */
export const kinds = ({ got }: RawClient): string[] => got.map(({ cmd }) => cmd);

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Gives everything time to be written: as many turns as any step of it takes. */
export async function written(bench: Bench): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(bench.hub.remembering.length).toBeGreaterThan(0);
}
