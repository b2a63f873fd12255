import type { AckPoint, Receipt } from "@nomq/core";
import type { PublishRequest } from "../api/publish-request.ts";
import { createControlClient } from "../control/control-client.ts";
import type { PubOptions } from "./options.ts";
import { placedSocket } from "./place.ts";
import { readStdin } from "./stdin.ts";

/** `nomq pub`: 0 when the message was taken (and, with `--until delivered`, delivered everywhere). */
export async function runPub(channel: string, message: string, options: PubOptions): Promise<number> {
  const payload = message === "-" ? await readStdin() : Buffer.from(message);
  if (options.nomq !== undefined) {
    const { publishToPeer } = await import("./peer.ts");
    return publishToPeer(options.nomq, { channel, payload, options });
  }
  const receipt = await createControlClient(placedSocket(options)).publish(
    requestOf(channel, payload, options),
  );
  if (options.receipt === true || options.json === true) process.stdout.write(`${JSON.stringify(receipt)}\n`);
  const fault = faultOf(receipt, options.until);
  if (fault === undefined) return 0;
  process.stderr.write(`${fault}\n`);
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
  const said = open.map(
    ({ attachment, is, reason }) => `${attachment} ${is}${reason === undefined ? "" : ` (${reason})`}`,
  );
  return `not delivered everywhere: ${said.join(", ")}`;
}

const INVALID_CHANNEL = ": a channel's name has 1 to 65,535 bytes, no NUL, + or #, and does not start with $";
