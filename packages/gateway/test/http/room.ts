import { type Clock, createHub, type Hub, silentLog, silentSessionLog, systemClock } from "@nomq/core";
import type { AccessControl } from "../../src/access/index.ts";
import type { ApiSources } from "../../src/api/sources.ts";
import { createStreams, type StreamLimits } from "../../src/api/streams.ts";
import { createHttpCounters, type HttpCounters } from "../../src/http/http-counts.ts";
import { openHttp } from "../../src/http/http-side.ts";
import type { HttpLimits } from "../../src/http/limits.ts";

/** The HTTP side alone, on a hub in memory, with limits that a test can reach. */
export interface Room extends AsyncDisposable {
  readonly hub: Hub;
  readonly url: string;
  readonly port: number;
  readonly counters: HttpCounters;
  /** Closes the listener as a gateway does: streams first. */
  close(): Promise<void>;
}

/** What a test wants otherwise. */
export interface RoomOptions {
  readonly limits?: Partial<HttpLimits>;
  readonly streams?: StreamLimits;
  readonly sources?: Partial<ApiSources>;
  /** Of the hub and of streams. Default the machine's. */
  readonly clock?: Clock;
  /** Default none. */
  readonly control?: AccessControl;
}

/** Opens one. */
export async function openRoom({
  limits = {},
  streams,
  sources,
  control,
  clock,
}: RoomOptions = {}): Promise<Room> {
  const hub = createHub({
    ...(control === undefined ? {} : { access: control }),
    ...(clock === undefined ? {} : { clock }),
  });
  await hub.start();
  const port = hub.port("api");
  const open = createStreams(port, streams);
  const store = { state: "memory", damaged: 0, waiting: 0 } as const;
  const counters = createHttpCounters();
  const side = await openHttp({
    listen: [{ url: "http://127.0.0.1:0" }],
    accounts: () => control?.accounts,
    api: {
      port,
      streams: open,
      health: () => ({
        live: true,
        ready: true,
        bridges: {},
        unclaimed: [],
        still: [],
        stillCount: 0,
        store,
      }),
      attachments: () => hub.attachments(),
      ...sources,
    },
    ...{ clock: systemClock, log: silentLog, sessionLog: silentSessionLog, counters, limits },
  });
  const [url = ""] = side.addresses;
  const close = async (): Promise<void> => {
    await open.end();
    await side[Symbol.asyncDispose]();
  };
  return {
    hub,
    url,
    port: Number(/:(\d+)$/.exec(url)?.[1]),
    counters,
    close,
    async [Symbol.asyncDispose]() {
      await close();
      await hub[Symbol.asyncDispose]();
    },
  };
}
