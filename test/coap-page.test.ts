import { execFile } from "node:child_process";
import { expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { launchGateway } from "./real/gateway.ts";
import { blocksIn } from "./real/pages.ts";

/** Each command of the page with what it prints. */
const commands = blocksIn("docs/coap.md", "console").flatMap(({ text }) =>
  text
    .split(/^\$ /m)
    .slice(1)
    .map((each) => {
      const [command = "", ...lines] = each.trimEnd().split("\n");
      return { command, lines };
    }),
);

const shell = (command: string): Promise<{ code: number; printed: string }> =>
  new Promise((resolve) => {
    const child = execFile("sh", ["-c", command], { timeout: 30_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, printed: (stdout + stderr).trim() }),
    );
  });

describeWithPeers("docs/coap.md", ["libcoap3-bin"], () => {
  test("its commands print what it says", async () => {
    await using gateway = await launchGateway();
    expect(commands.length).toBeGreaterThan(4);
    for (const { command, lines } of commands) {
      const here = command.replace("coap://127.0.0.1/", `coap://127.0.0.1:${gateway.coapPort}/`);
      expect({ command, ...(await shell(here)) }).toEqual({ command, code: 0, printed: lines.join("\n") });
    }
  });
});
