import { expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";

describeWithPeers("with an XMPP server", ["prosody", "openssl"], () => {
  test.each(seedsOf([1]))(
    "that is killed, alone and together with the gateway, the same holds (seed %i)",
    { timeout: 900_000 },
    async (seed) => {
      const kinds = ["kill xmpp", "kill both", "kill xmpp", "kill"] as const;
      const summary = await play(planOf(seed, { kinds, times: isLong ? 5 : 1, acks: 150 }));
      expect(summary.kills).toBe(isLong ? 10 : 2);
    },
  );
});
