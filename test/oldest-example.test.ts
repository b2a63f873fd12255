import { expect, test } from "vitest";
import { canUnshareNetwork, describeWithPeers } from "./peers.ts";
import { runInNamespace } from "./real/namespace.ts";

const script = new URL("real/oldest-example.ts", import.meta.url).pathname;

describeWithPeers(
  "the oldest example, word for word",
  ["mosquitto-clients", "iproute2", "util-linux"],
  () => {
    test.skipIf(!process.env["CI"] && !canUnshareNetwork())(
      "mosquitto_pub reaches mosquitto_sub and the subscribed device on the default ports",
      async () => {
        expect(JSON.parse(await runInNamespace(script))).toEqual({ line: "temp:100", device: ["temp:100"] });
      },
    );
  },
);
