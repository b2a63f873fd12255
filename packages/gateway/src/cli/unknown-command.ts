import type { UnknownChannel, UnknownClock } from "@nomq/core";
import { createControlClient, refused } from "../control/control-client.ts";
import { commandHere, placeHere } from "./called-as.ts";
import type { UnknownOptions } from "./options.ts";
import { placedSocket } from "./place.ts";

/** What `GET /api/v1/nomq/unknown` answers (docs/api.md). */
interface Unknown {
  readonly channels: readonly UnknownChannel[];
  readonly clocks: readonly UnknownClock[];
}

/** `nomq unknown`: the channels without a name and the clocks that no rule accepts, each with what to do about it. */
export async function runUnknown(options: UnknownOptions): Promise<number> {
  const answer = await createControlClient(placedSocket(options)).get("/api/v1/nomq/unknown");
  if (answer.status !== 200) throw refused(answer);
  // What the gateway itself wrote (api/names.ts).
  const { channels, clocks } = answer.body as Unknown;
  if (options.json === true) {
    for (const channel of channels) print(JSON.stringify({ kind: "channel", ...channel }));
    for (const clock of clocks) print(JSON.stringify({ kind: "clock", ...clock }));
    return 0;
  }
  const name = (hash: string): string => `${commandHere()} name ${hash} CHANNEL${placeHere(options)}`;
  for (const channel of channels) print(channelText(channel, name(channel.hash)));
  for (const clock of clocks) print(clockText(clock));
  if (channels.length + clocks.length === 0) process.stderr.write("nothing is unknown\n");
  return 0;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

function channelText({ hash, source, sources, ...seen }: UnknownChannel, command: string): string {
  return [
    `channel ${hash}`,
    `  ${seenText("message", seen)}, from ${[...new Set([source, ...sources])].join(" ")}`,
    "  once you know its name:",
    `    ${command}`,
    "  or in gateway.yaml, under nomq.channels:",
    "    - CHANNEL",
  ].join("\n");
}

function clockText(clock: UnknownClock): string {
  const { source, device, key, reason, offset, likely, paste, ...seen } = clock;
  const sign = offset < 0 ? "-" : "+";
  const lines = [
    device === undefined ? `clock ${source}` : `clock ${source} (${device})`,
    `  ${seenText("packet", seen)}, key ${key}: ${reason}, ${sign}${Math.abs(offset)} s`,
    `  ${likely}`,
  ];
  if (paste === undefined)
    return [...lines, "  its next session is taken: restart the device, or wait"].join("\n");
  return [
    ...lines,
    "  set its clock; or let it ask this gateway, in gateway.yaml under nomq:",
    '    time: "udp://[::]:123"',
    device === undefined
      ? "  or take it as it is, under nomq.devices:"
      : `  or take it as it is, in the entry of ${device} under nomq.devices:`,
    `    ${paste}`,
  ].join("\n");
}

interface SeenTimes {
  readonly count: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

function seenText(noun: string, { count, firstSeen, lastSeen }: SeenTimes): string {
  const at = (unixMs: number): string => `${new Date(unixMs).toISOString().slice(0, 19)}Z`;
  const when = count === 1 ? at(lastSeen) : `${at(firstSeen)} to ${at(lastSeen)}`;
  return `${count} ${noun}${count === 1 ? "" : "s"}, ${when}`;
}
