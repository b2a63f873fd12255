import { once } from "node:events";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { testFolder } from "./launch.ts";

test("a question is not lost with a connection that the gateway ends just then, having kept it since the one before", async () => {
  using folder = testFolder();
  const socketPath = join(folder.path, "control.sock");
  const used = new Set<Socket>();
  const server = createServer((request, response) => {
    // Kept for long enough, it is at its end when something comes at last.
    if (used.has(request.socket)) request.socket.destroy();
    else response.setHeader("content-type", "application/json").end("{}");
    used.add(request.socket);
  }).listen(socketPath);
  await once(server, "listening");
  try {
    const client = createControlClient(socketPath);
    for (let asked = 0; asked < 3; asked += 1)
      expect(await client.get("/healthz")).toEqual({ status: 200, body: {} });
  } finally {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});
