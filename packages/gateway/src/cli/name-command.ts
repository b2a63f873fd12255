import type { NamedChannel } from "@nomq/core";
import { type ControlClient, createControlClient, refused } from "../control/control-client.ts";
import type { NameOptions } from "./options.ts";
import { placedSocket } from "./place.ts";
import { UsageError } from "./usage-error.ts";

const PATH = "/api/v1/nomq/names";

/** `nomq name`: gives a channel its name, forgets one, or lists those given. */
export async function runName(given: readonly string[], options: NameOptions): Promise<number> {
  const [hash, channel] = given;
  const { forget, list } = options;
  const asks = [list === true, forget !== undefined, given.length > 0].filter(Boolean).length;
  if (asks !== 1) throw new UsageError(USAGE);
  const client = createControlClient(placedSocket(options));
  if (list === true) return show(options, await listed(client));
  if (forget !== undefined) return show(options, [await forgotten(client, forget)]);
  if (hash === undefined || channel === undefined) throw new UsageError(USAGE);
  return show(options, [await named(client, { hash, channel })]);
}

const USAGE = "expected HASH CHANNEL, or --list, or --forget CHANNEL";

async function named(client: ControlClient, name: NamedChannel): Promise<NamedChannel> {
  const answer = await client.post(PATH, name);
  if (answer.status !== 200) throw refused(answer);
  // What the gateway itself wrote (api/names.ts), here and below.
  return answer.body as NamedChannel;
}

async function forgotten(client: ControlClient, channel: string): Promise<NamedChannel> {
  const answer = await client.delete(`${PATH}/${encodeURIComponent(channel)}`);
  if (answer.status !== 200) throw refused(answer);
  return answer.body as NamedChannel;
}

async function listed(client: ControlClient): Promise<readonly NamedChannel[]> {
  const answer = await client.get(PATH);
  if (answer.status !== 200) throw refused(answer);
  return answer.body as readonly NamedChannel[];
}

function show({ json }: NameOptions, names: readonly NamedChannel[]): number {
  for (const { hash, channel } of names) {
    const line = json === true ? JSON.stringify({ hash, channel }) : `${hash} ${channel}`;
    process.stdout.write(`${line}\n`);
  }
  return 0;
}
