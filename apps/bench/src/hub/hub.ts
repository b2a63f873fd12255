import { median } from "../ratio.ts";
import { cases, type HubCase } from "./cases.ts";

const ROUNDS = 15;
const MESSAGES = 8_000;

/** Microseconds per message through the hub, each against a bare loop of promises in the same run. */
export async function benchHub(): Promise<boolean> {
  let isWell = true;
  for (const make of cases) {
    const one = await make();
    isWell = (await measure(one)) && isWell;
    await one.close();
  }
  return isWell;
}

async function measure(one: HubCase): Promise<boolean> {
  await one.run(3 * MESSAGES);
  await bareLoop(3 * MESSAGES, one.recipients);
  const rounds: { hub: number; bare: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    // Each goes first in half of the rounds.
    if (round % 2 === 0) rounds.push({ hub: await time(one.run), bare: await time(bareOf(one)) });
    else rounds.push({ bare: await time(bareOf(one)), hub: await time(one.run) });
  }
  const hub = median(rounds.map((round) => round.hub));
  const bare = median(rounds.map((round) => round.bare));
  const ratio = median(rounds.map((round) => round.hub / round.bare));
  const isWell = hub <= one.targetMicros;
  console.log(
    `${one.name.padEnd(58)} ${hub.toFixed(2)} µs, ${ratio.toFixed(2)}× of a bare loop (${one.recipients} calls, ` +
      `${bare.toFixed(2)} µs); target ≤ ${one.targetMicros} µs: ${isWell ? "ok" : "MISSED"}`,
  );
  return isWell;
}

const bareOf =
  (one: HubCase) =>
  (messages: number): Promise<void> =>
    bareLoop(messages, one.recipients);

/** What no router can go without: an awaited publish and one awaited call for each recipient. */
async function bareLoop(messages: number, recipients: number): Promise<void> {
  const deliver = async (message: { seq: number }): Promise<number> => message.seq;
  const publish = async (seq: number): Promise<{ seq: number }> => {
    const message = { seq, channel: "factory/line1/temperature", payload: PAYLOAD };
    for (let at = 0; at < recipients; at += 1) void deliver(message).then(count);
    return message;
  };
  for (let seq = 0; seq < messages; seq += 1) await publish(seq);
}

const PAYLOAD = Buffer.from("21.5");
let counted = 0;
const count = (seq: number): void => {
  counted += seq;
};

async function time(run: (messages: number) => Promise<void>): Promise<number> {
  const start = process.hrtime.bigint();
  await run(MESSAGES);
  if (counted < 0) throw new Error("unreachable: keeps the loop from being optimised away");
  return Number(process.hrtime.bigint() - start) / 1_000 / MESSAGES;
}
