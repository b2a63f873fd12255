import type { AttachmentState, DevicePresence } from "@nomq/core";
import type { SlowClient } from "@nomq/mqtt-bridge";
import { describe, expect, test } from "vitest";
import { namedStill, type StillSources, stillPeers, withStill } from "../src/api/still.ts";

const NOW = 1_000_000;

const attachment = (name: string, stillSince?: number): AttachmentState => ({
  name,
  as: "*",
  filters: [],
  durable: true,
  state: "active",
  ledger: { accepted: 9, delivered: 2, expired: 0, dropped: {}, refused: 0, uncertain: 0, pending: 7 },
  progress: { open: 1, ...(stillSince === undefined ? {} : { stillSince }) },
});
const presence = (name: string, state: "online" | "offline"): DevicePresence => ({
  attachment: name,
  state,
  reason: state === "online" ? "heard" : "silent",
  since: 0,
  address: "10.0.0.1:1",
});
const client = (id: string, since: number): SlowClient => ({
  client: id,
  principal: "anonymous",
  address: "10.0.0.2",
  reason: "unacknowledged",
  since,
  waiting: 3,
  dropped: 0,
});
const found = (given: Partial<StillSources>): ReturnType<typeof stillPeers> =>
  stillPeers({ attachments: [], devices: [], slowClients: [], now: NOW, ...given });

describe("who takes nothing", () => {
  test("an attachment for a minute, and slow MQTT clients; the longest first", () => {
    const peers = found({
      attachments: [
        attachment("nomq:a", NOW - 60_000),
        attachment("nomq:b", NOW - 59_999),
        attachment("nomq:c"),
      ],
      devices: [presence("nomq:a", "online")],
      slowClients: [client("x", NOW - 70_000)],
    });
    expect(peers).toEqual([
      { attachment: "mqtt:broker", client: "x", reason: "unacknowledged", since: NOW - 70_000, pending: 3 },
      { attachment: "nomq:a", reason: "no-progress", since: NOW - 60_000, pending: 7 },
    ]);
  });

  test("not a device that is away: it is not connected", () => {
    const attachments = [attachment("nomq:a", 0)];
    expect(found({ attachments, devices: [presence("nomq:a", "offline")] })).toEqual([]);
  });

  test("at most 100 are named", () => {
    const peers = found({ slowClients: Array.from({ length: 150 }, (_, at) => client(`c${at}`, at)) });
    expect(peers).toHaveLength(150);
    expect(namedStill(peers)).toHaveLength(100);
  });
});

describe("what a bridge's status becomes", () => {
  const ready = { state: "ready", since: 5 } as const;
  const peers = found({ slowClients: [client("x", 7), client("y", 8)] });

  test("degraded, with whom and since when", () => {
    const reason = 'the client "x" takes none of the messages that wait for it (and 1 more)';
    expect(withStill("mqtt", ready, peers)).toEqual({ state: "degraded", reason, since: 7 });
    expect(withStill("nomq", ready, peers)).toBe(ready);
  });

  test("what it says of itself goes first", () => {
    const reconnecting = { state: "reconnecting", reason: "udp://x: EADDRINUSE", since: 1 } as const;
    expect(withStill("mqtt", reconnecting, peers)).toBe(reconnecting);
  });
});
