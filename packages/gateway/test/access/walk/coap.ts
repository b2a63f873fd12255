import { expect } from "vitest";
import type { AccessRule } from "../../../src/access/index.ts";
import { openCoapClient } from "../../coap/client.ts";
import type { WalkGateway } from "./gateway.ts";
import type { Receiver } from "./receivers.ts";
import { CHANNELS, MARK_CHANNELS, matchesPlainly, mayPlainly } from "./rules.ts";

const WHO = "addr:127.0.0.1";

/** A CoAP client that observes every channel under the filters, and asks for each message. */
export async function coapReceiver(
  gateway: WalkGateway,
  wanted: { readonly type: "con" | "non"; readonly filters: readonly string[] },
): Promise<Receiver> {
  const { type, filters } = wanted;
  const client = await openCoapClient(gateway.coap);
  const got = new Set<string>();
  const one = { name: `coap ${type}`, who: WHO, filters: [] as string[], refused: [] as string[], got };
  const asked = CHANNELS.filter((channel) => filters.some((filter) => matchesPlainly(filter, channel)));
  for (const channel of [...asked, ...MARK_CHANNELS]) {
    const tell = ({ code, payload }: { code: string; payload: Buffer }): void => {
      if (code === "2.05" && payload.length > 0) got.add(`${channel} ${payload.toString()}`);
    };
    const observed = await client.observe({ path: channel, type, query: ["all=1"], tell });
    const isObserved = observed.code === "2.05";
    expect([channel, observed.code]).toEqual([channel, isObserved ? "2.05" : "4.03"]);
    (isObserved ? one.filters : one.refused).push(channel);
  }
  return { ...one, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

/** What GET answers, and that nobody sets or deletes what no rule lets them. */
export async function checkCoapQuestions(gateway: WalkGateway, rules: readonly AccessRule[]): Promise<void> {
  await using client = await openCoapClient(gateway.coap);
  for (const channel of CHANNELS) {
    const get = await client.ask({ path: channel });
    const mayRead = mayPlainly(rules, WHO, ["subscribe", channel]);
    expect([channel, get?.code, get?.code === "2.05" ? get.payload.toString() : ""]).toEqual(
      mayRead ? [channel, "2.05", "kept"] : [channel, "4.03", ""],
    );
    if (mayPlainly(rules, WHO, ["publish", channel])) continue;
    for (const method of ["put", "post", "delete"] as const) {
      const refused = await client.ask({ method, path: channel, payload: Buffer.from("refused") });
      expect([channel, method, refused?.code]).toEqual([channel, method, "4.03"]);
    }
    const { body } = await gateway.control.get(`/api/v1/channels/${encodeURIComponent(channel)}`);
    expect([channel, body]).toEqual([channel, expect.objectContaining({ payload: "kept" })]);
  }
}
