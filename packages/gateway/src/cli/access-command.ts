import { type AccessAnswer, answerOf, questionFault } from "../access/answer.ts";
import { createAccessControl } from "../access/index.ts";
import type { AccessReloaded } from "../access/reload.ts";
import { createControlClient, refused } from "../control/control-client.ts";
import type { PlaceOptions } from "./place.ts";
import { placedConfig, placedSocket } from "./place.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq access explain` and `nomq access reload`. */
export interface AccessOptions extends PlaceOptions {
  readonly running?: boolean;
  readonly json?: boolean;
}

/** `nomq access explain`: 0 whatever the rules say. */
export async function runAccessExplain(
  asked: { readonly who: string; readonly action: string; readonly channel: string },
  options: AccessOptions,
): Promise<number> {
  const { who, action, channel } = asked;
  if (action !== "publish" && action !== "subscribe")
    throw new UsageError("expected publish or subscribe as the action");
  const question = { who, action, channel } as const;
  const fault = questionFault(question);
  if (fault !== undefined) throw new UsageError(fault);
  const isRunning = options.running === true || options.socket !== undefined;
  const answer = isRunning ? await askRunning(question, options) : answerOf(controlOf(options), question);
  process.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${answer.text}\n`);
  return 0;
}

/** `nomq access reload`: 1 when the file was not taken. */
export async function runAccessReload(options: AccessOptions): Promise<number> {
  const client = createControlClient(placedSocket(options));
  const answer = await client.post("/api/v1/access/reload", {});
  if (answer.status !== 200 && answer.status !== 409) throw refused(answer);
  // What the gateway itself wrote (api/routes/access-routes.ts).
  const result = answer.body as AccessReloaded;
  if (options.json === true) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${result.is}${result.is === "refused" ? `: ${result.text}` : ""}\n`);
  return result.is === "refused" ? 1 : 0;
}

const controlOf = (options: AccessOptions): ReturnType<typeof createAccessControl> =>
  createAccessControl(placedConfig(options).config.access);

async function askRunning(
  { who, action, channel }: { who: string; action: string; channel: string },
  options: AccessOptions,
): Promise<AccessAnswer> {
  const search = new URLSearchParams({ who, action, channel });
  const answer = await createControlClient(placedSocket(options)).get(`/api/v1/access/explain?${search}`);
  if (answer.status !== 200) throw refused(answer);
  // As above.
  return answer.body as AccessAnswer;
}
