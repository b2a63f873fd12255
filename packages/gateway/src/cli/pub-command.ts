import type { AckPoint, Receipt } from "@nomq/core";
import type { PublishRequest } from "../api/publish-request.ts";
import { type ControlClient, createControlClient } from "../control/control-client.ts";
import { endSignal } from "./end-signal.ts";
import type { PubOptions } from "./options.ts";
import { placedSocket } from "./place.ts";
import { createReceiptLines, outcomeText, sumText } from "./receipt-lines.ts";
import { readStdin } from "./stdin.ts";

/** `nomq pub`: 0 when the message was taken and, with `--until delivered` or `--receipt`, delivered everywhere. */
export async function runPub(channel: string, message: string, options: PubOptions): Promise<number> {
  const payload = message === "-" ? await readStdin() : Buffer.from(message);
  if (options.nomq !== undefined) {
    const { publishToPeer } = await import("./peer.ts");
    return publishToPeer(options.nomq, { channel, payload, options });
  }
  const client = createControlClient(placedSocket(options));
  if (options.receipt === true) return await publishAndFollow(client, { channel, payload, options });
  const receipt = await client.publish(requestOf(channel, payload, options));
  if (options.json === true) process.stdout.write(`${JSON.stringify(receipt)}\n`);
  const fault = faultOf(receipt, options.until);
  if (fault === undefined) return 0;
  process.stderr.write(`${fault}\n`);
  return 1;
}

/** Publishes, then prints each change of the receipt until nothing is pending, `--timeout` or Ctrl-C. */
async function publishAndFollow(
  client: ControlClient,
  { channel, payload, options }: { channel: string; payload: Buffer; options: PubOptions },
): Promise<number> {
  const lines = createReceiptLines(Date.now());
  const print = (receipt: Receipt): void => {
    process.stdout.write(options.json === true ? `${JSON.stringify(receipt)}\n` : lines.next(receipt));
  };
  const until = options.until === "accepted" ? "accepted" : "stored";
  let last = await client.publish(requestOf(channel, payload, { ...options, until }));
  const fault = faultOf(last, undefined);
  if (fault !== undefined) {
    if (options.json === true) print(last);
    process.stderr.write(`${fault}\n`);
    return 1;
  }
  const late = options.timeout === undefined ? [] : [AbortSignal.timeout(options.timeout)];
  const signal = AbortSignal.any([endSignal(), ...late]);
  let isTold = false;
  for await (const receipt of client.follow(last.id, signal)) {
    last = receipt;
    print(receipt);
    isTold = true;
  }
  // However soon the waiting ends, the message's id is said.
  if (!isTold) print(last);
  if (options.json !== true) process.stdout.write(`${sumText(last)}\n`);
  if (last.outcomes.every(({ is }) => is === "delivered")) return 0;
  const isOpen = last.outcomes.some(({ is }) => is === "pending");
  if (isOpen) process.stderr.write(`no longer waiting; the message goes on, its receipt is ${last.id}\n`);
  return 1;
}

function requestOf(channel: string, payload: Buffer, options: PubOptions): PublishRequest {
  const { qos, retain, ttl, priority, contentType, until } = options;
  return {
    channel,
    payloadBase64: payload.toString("base64"),
    // Commander's parser admits nothing else.
    qos: qos as 0 | 1 | 2,
    ...(retain === undefined ? {} : { retain }),
    ...(ttl === undefined ? {} : { ttl: ttl / 1_000 }),
    ...(priority === undefined ? {} : { priority }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(until === undefined ? {} : { until }),
  };
}

function faultOf(receipt: Receipt, until: AckPoint | undefined): string | undefined {
  if (receipt.at === "refused") {
    const advice = receipt.reason === "channel-invalid" ? INVALID_CHANNEL : "";
    return `refused: ${receipt.reason ?? "no reason given"}${advice}`;
  }
  if (until !== "delivered") return undefined;
  const open = receipt.outcomes.filter((outcome) => outcome.is !== "delivered");
  if (open.length === 0) return undefined;
  const said = open.map((outcome) => `${outcome.attachment} ${outcomeText(outcome)}`);
  return `not delivered everywhere: ${said.join(", ")}`;
}

const INVALID_CHANNEL = ": a channel's name has 1 to 65,535 bytes, no NUL, + or #, and does not start with $";
