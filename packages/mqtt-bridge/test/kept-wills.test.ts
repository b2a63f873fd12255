import { describe, expect, test } from "vitest";
import { type Bench, startBench } from "./bench.ts";
import { turn, written } from "./lasting.ts";
import type { RawOptions } from "./raw-client.ts";

describe("wills of a run that was killed", () => {
  const will = (willDelayInterval: number): Omit<RawOptions, "port"> => ({
    clientId: `w${willDelayInterval}`,
    ...{ clean: false, properties: { sessionExpiryInterval: 100 } },
    will: {
      topic: "gone",
      payload: Buffer.from("w"),
      qos: 1,
      retain: true,
      properties: { willDelayInterval },
    },
  });
  const gone = ({ hub }: Bench): number =>
    hub.published.filter(({ draft }) => draft.channel === "gone").length;

  test("are published after their delay, at most the session's, unless the client is back", async () => {
    await using first = await startBench();
    for (const delay of [0, 30, 50, 500]) await first.client(will(delay));
    const polite = await first.client(will(7));
    polite.send({ cmd: "disconnect" });
    await polite.closed;
    await written(first);
    await using second = await first.killed();
    await second.hub.clock.advance(1);
    expect(gone(second)).toBe(1);
    expect(second.hub.published[0]).toMatchObject({
      from: "addr:127.0.0.1",
      draft: { retain: true, qos: 1 },
    });
    await second.client(will(30));
    await second.hub.clock.advance(60_000);
    await turn();
    expect(gone(second)).toBe(2);
    await second.hub.clock.advance(60_000);
    await turn();
    expect(gone(second)).toBe(3);
    await written(second);
    await using third = await second.killed();
    await third.hub.clock.advance(1_000_000);
    // Of the one that was back.
    expect(gone(third)).toBe(1);
  });
});
