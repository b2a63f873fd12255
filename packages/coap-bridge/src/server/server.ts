import type { Port } from "@nomq/core";
import { type BlockCounts, createServerBlocks, type ServerBlocks } from "../blocks/server-blocks.ts";
import { encoded } from "../blocks/whole.ts";
import type { Counters } from "../counters.ts";
import type { CoapLosses } from "../losses.ts";
import type { Messaging, Serve } from "../messaging/messaging.ts";
import type { Observers } from "../observe/observers.ts";
import { openObservers } from "../observe/open-observers.ts";
import type { Places } from "../programs/places.ts";
import { refusalOf } from "../refusals.ts";
import { createReader, type Reader } from "../resources/read.ts";
import { createTransfers, type Transfers } from "../resources/transfers.ts";
import { createWriter, said } from "../resources/write.ts";
import { createUriPaths } from "../wire/uri-path.ts";
import { createAdmission, type Gate } from "./admission.ts";
import { createElsewhere } from "./elsewhere.ts";
import { createGet } from "./get.ts";
import { createFinish, createServe } from "./serve.ts";
import { createShow } from "./show.ts";

/** What {@link openServer} needs. */
export interface ServerOptions {
  readonly port: Port;
  readonly gates: readonly Gate[];
  readonly prefix: string;
  readonly counters: Counters;
  readonly losses: CoapLosses;
  /** Of resources that are no channels. */
  readonly places: Places;
}

/** Channels as resources, without a network of their own. */
export interface CoapServer {
  readonly serve: Serve;
  readonly observers: Observers;
  /** Listeners are open: whoever observed in an earlier run is told what has changed. */
  begin(messaging: Messaging): void;
  /** Takes nothing new, and resolves when what was taken has been answered. */
  drain(): Promise<void>;
  blocks(): BlockCounts;
  /** Idempotent. */
  close(): Promise<void>;
}

/** How long a write that the hub does not answer is waited for at the end. */
const GRACE_MS = 5_000;

/** Takes up what an earlier run has left and attaches `coap:observers`. Rejects as the hub does. */
export async function openServer(options: ServerOptions): Promise<CoapServer> {
  const { port, losses } = options;
  const { clock } = port;
  const blocks = createServerBlocks({ clock });
  const reader = createReader({ clock });
  const transfers = createTransfers(port, clock);
  await transfers.restore();
  const observers = await openObservers({
    port,
    show: createShow({ reader, clock, told: losses.told }),
    begun: (endpoint, transfer, whole) => blocks.begun(endpoint, transfer, whole),
  });
  const way = createWay(options, { blocks, reader, transfers, observers });
  let isOpen = true;

  return {
    observers,
    serve: (request) => (isOpen ? way.serve(request) : STOPPING),
    begin: (messaging) => {
      isOpen = true;
      observers.begin(messaging);
    },
    async drain() {
      isOpen = false;
      const grace = Promise.withResolvers<void>();
      const cancel = clock.after(GRACE_MS, grace.resolve);
      await Promise.race([way.idle(), grace.promise]);
      cancel();
    },
    blocks: () => blocks.counts(),
    async close() {
      isOpen = false;
      way.close();
      transfers.close();
      await observers.stop();
      blocks[Symbol.dispose]();
    },
  };
}

interface Parts {
  readonly blocks: ServerBlocks;
  readonly reader: Reader;
  readonly transfers: Transfers;
  readonly observers: Observers;
}

/** The way of a request, from who asks to what is done. */
function createWay({ port, gates, prefix, counters, places }: ServerOptions, parts: Parts) {
  const { blocks, reader, transfers, observers } = parts;
  const { log, sessionLog } = port;
  const paths = createUriPaths(prefix);
  const writer = createWriter({
    ...{ port, transfers, taken: observers },
    segments: (channel) => paths.segments(channel),
    refused: (reason) => counters.add("messagesRefused", reason),
  });
  const elsewhere = createElsewhere({ port, places, paths, formatsOf: reader.formatsOf });
  const byName = new Map(gates.map((gate) => [gate.settings.name, gate] as const));
  return {
    serve: createServe({
      ...{ port, log, paths, blocks, writer, elsewhere, counters },
      admission: createAdmission({ gates: byName, log, sessionLog }),
      get: createGet({ port, reader, observers, finish: createFinish(blocks) }),
    }),
    idle: () => writer.idle(),
    close: () => elsewhere[Symbol.dispose](),
  };
}

const STOPPING = encoded(said(refusalOf("closed")));
