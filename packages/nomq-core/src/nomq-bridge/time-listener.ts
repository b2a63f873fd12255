import { listenUrl, parseListen } from "../address.ts";
import type { Port } from "../bridge.ts";
import { createTimeService, type TimeService, type TimeServiceCounts } from "../time-service/time-service.ts";
import type { Transport } from "../transport.ts";
import { openReopeningTransport } from "../udp/reopening-transport.ts";
import type { NomqBridgeOptions } from "./options.ts";

/** The time service that a bridge offers its devices, if `time` asks for one. */
export interface TimeListener {
  /** Rejects as opening a listener does. */
  start(port: Port): Promise<void>;
  stop(): Promise<void>;
  /** `udp://HOST:PORT` with the real port; undefined where nothing listens. */
  address(): string | undefined;
  /** Undefined without a service. */
  counts(): TimeServiceCounts | undefined;
}

/** Makes it; nothing is opened yet. Throws `config-invalid` for a `time` that is no address. */
export function createTimeListener(
  options: NomqBridgeOptions,
  openUdp: (listen: string) => Promise<Transport>,
): TimeListener {
  const { time } = options;
  if (time !== undefined) parseListen(time);
  const open = "node" in options ? openUdp : (options.openTransport ?? openUdp);
  let service: TimeService | undefined;
  return {
    async start({ clock, log }) {
      if (time === undefined) return;
      const openAt = (port: number | undefined): Promise<Transport> =>
        open(port === undefined ? time : listenUrl({ ...parseListen(time), port }));
      const openTransport = (): Promise<Transport> => openReopeningTransport({ clock, log, open: openAt });
      service = createTimeService({ clock, log, openTransport });
      await service.start();
    },
    stop: async () => service?.stop(),
    address() {
      const local = service?.local();
      return local === undefined ? undefined : listenUrl(local);
    },
    counts: () => service?.counts(),
  };
}
