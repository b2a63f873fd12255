// A gateway, or without a configuration an idle loop, that measures how late its own event loop is.
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Log } from "@nomq/core";
import { createGateway, type Gateway, parseConfig } from "@nomq/gateway";
import type { FromMeasured, Load, ToMeasured } from "./messages.ts";

const say = (message: FromMeasured): void => void process.send?.(message);
const portOf = (url: string | undefined): number => Number(url?.slice(url.lastIndexOf(":") + 1));

const ignore = (): void => undefined;
/** Its store is fully recovered when it has read itself through. */
const log: Log = {
  ...{ debug: ignore, warn: ignore, error: ignore },
  info: (text) => {
    if (text === "the store has been read through") say({ is: "recovered" });
  },
};

async function startGateway(text: string): Promise<Gateway> {
  const gateway = createGateway({ log, config: parseConfig({ name: "bench", text, folder: process.cwd() }) });
  const { listen } = await gateway.start();
  say({ is: "ready", nomqPort: portOf(listen["nomq"]?.[0]), mqttPort: portOf(listen["mqtt"]?.[0]) });
  return gateway;
}

let before = process.cpuUsage();
let longest = 0;
let worked = mainThread();
setInterval(() => {
  const now = mainThread();
  longest = Math.max(longest, now - worked);
  worked = now;
}, 1);
const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
const config = process.argv[2];
const gateway = config === undefined ? undefined : await startGateway(config);
if (gateway === undefined) say({ is: "ready", nomqPort: 0, mqttPort: 0 });
process.on("message", (message: ToMeasured) => {
  if (message.is === "begin") {
    histogram.reset();
    before = process.cpuUsage();
    longest = 0;
    worked = mainThread();
  } else say({ is: "load", ...load() });
});

/** Milliseconds of processor time so far, of the thread that runs the event loop. */
function mainThread(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

function load(): Load {
  const ms = (nanos: number): number => nanos / 1e6;
  const { user, system } = process.cpuUsage(before);
  return {
    p50: ms(histogram.percentile(50)),
    p99: ms(histogram.percentile(99)),
    max: ms(histogram.max),
    longest,
    cpu: user + system,
  };
}

// Its parent's end is its own, and so is being told.
process.on("disconnect", () => void (gateway?.stop() ?? Promise.resolve()).finally(() => process.exit()));
