import type { AckPoint } from "../bridge.ts";
import type { NomqListener } from "./options.ts";

/** When a publisher is acknowledged. */
export interface AckSettings {
  readonly ack: AckPoint;
  /** How long `delivered` waits, milliseconds. */
  readonly ackTimeout: number;
}

const ACK_TIMEOUT_MS = 10_000;

/** The settings of a listener: its own, else the bridge's, else `stored` and ten seconds. */
export function ackSettings(bridge: Partial<AckSettings>, listener: string | NomqListener = ""): AckSettings {
  const own: Partial<AckSettings> = typeof listener === "string" ? {} : listener;
  return {
    ack: own.ack ?? bridge.ack ?? "stored",
    ackTimeout: own.ackTimeout ?? bridge.ackTimeout ?? ACK_TIMEOUT_MS,
  };
}

export const urlOf = (listener: string | NomqListener): string =>
  typeof listener === "string" ? listener : listener.url;
