import { IncomingMessage } from "node:http";
import type { Clock, Log, SessionLog } from "@nomq/core";
import type { Context } from "hono";
import type { Accounts } from "../access/index.ts";
import { type ApiOptions, createApi } from "../api/api.ts";
import type { Caller, TurnedAway } from "../api/caller.ts";
import type { ListenerConfig } from "../config/config.ts";
import { addressOf, createFindCaller, type FindCaller } from "./caller.ts";
import type { HttpCounters } from "./http-counts.ts";
import { type HttpListener, openHttpListener } from "./http-listener.ts";
import { HTTP_LIMITS, type HttpLimits } from "./limits.ts";
import { createRateLimit, type RateLimit } from "./rate-limit.ts";
import { createRefusals, type Refusals } from "./refusals.ts";

/** Options of {@link openHttp}. */
export interface HttpOptions {
  readonly listen: readonly ListenerConfig[];
  /** Undefined without `access`, which may come and change while it runs. */
  accounts(): Accounts | undefined;
  /** What every listener serves. */
  readonly api: Omit<ApiOptions, "caller">;
  readonly clock: Clock;
  readonly log: Log;
  readonly sessionLog: SessionLog;
  readonly counters: HttpCounters;
  readonly limits?: Partial<HttpLimits>;
}

/** The HTTP listeners of a gateway. Disposing drains and closes them. */
export interface HttpSide extends AsyncDisposable {
  /** With the real ports. */
  readonly addresses: readonly string[];
}

/** Opens every listener, or none: the first failure closes those already open. */
export async function openHttp(options: HttpOptions): Promise<HttpSide> {
  const limits = { ...HTTP_LIMITS, ...options.limits };
  const rate = createRateLimit({ clock: options.clock, ...limits });
  const open: HttpListener[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(open.map((listener) => listener.close()));
  };
  try {
    for (const [at, listener] of options.listen.entries()) {
      open.push(await openOne(options, { listener, key: `http.listen[${at}]`, limits, rate }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses: open.map(({ address }) => address), [Symbol.asyncDispose]: close };
}

interface One {
  readonly listener: ListenerConfig;
  readonly key: string;
  readonly limits: HttpLimits;
  readonly rate: RateLimit;
}

async function openOne(options: HttpOptions, { listener, key, limits, rate }: One): Promise<HttpListener> {
  const { anonymous = "loopback" } = listener;
  const find = createFindCaller({ accounts: options.accounts, anonymous, key });
  const tell = createRefusals({ ...options, key });
  const app = createApi({
    ...options.api,
    ...askedOf(listener),
    caller: (context) => callerOf(incomingOf(context), { find, rate, tell }),
  });
  return await openHttpListener({
    ...{ listener, key, limits, clock: options.clock, fetch: app.fetch },
    refused: tell,
    answered: (status) => options.counters.add("answers", String(status)),
  });
}

/** What the listener's configuration says of messages; a payload in base64 is a third longer. */
function askedOf({ ack, ackTimeout, maxPayload = MAX_PAYLOAD }: ListenerConfig): Partial<ApiOptions> {
  return {
    ...(ack === undefined ? {} : { ack }),
    ...(ackTimeout === undefined ? {} : { ackTimeout }),
    maxPayload,
    maxBody: Math.ceil((maxPayload * 4) / 3) + BODY_REST,
  };
}

const MAX_PAYLOAD = 1_048_576;
/** Of a publish request, all but the payload: the longest channel name in escapes, and the rest. */
const BODY_REST = 6 * 65_535 + 65_536;

function incomingOf(context: Context): IncomingMessage {
  const incoming: unknown = Reflect.get(Object(context.env), "incoming");
  if (incoming instanceof IncomingMessage) return incoming;
  throw new TypeError("the request came over no connection");
}

interface CallerUse {
  readonly find: FindCaller;
  readonly rate: RateLimit;
  readonly tell: Refusals;
}

/** Who asks, unless it asks too often. */
function callerOf(incoming: IncomingMessage, { find, rate, tell }: CallerUse): Caller | TurnedAway {
  const found = find(incoming);
  if ("turned" in found) {
    tell(found.error, addressOf(incoming));
    return found;
  }
  const afterMs = rate.take(found.principal);
  if (afterMs === 0) return found;
  const error = { code: "too-many-requests", text: "slow down" };
  tell(error, addressOf(incoming));
  return { turned: 429, error, afterMs };
}
