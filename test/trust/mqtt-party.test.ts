import { type AddressInfo, createServer } from "node:net";
import { generate, parser } from "mqtt-packet";
import { expect, test } from "vitest";
import { openBook } from "./book.ts";
import { openMqttParty } from "./mqtt-party.ts";

// When the client hears of the loss and sets its timer differs by some turns.
test.each([2, 4, 8, 16])(
  "a client that comes back just when it would have tried again sends no second CONNECT on a connection [MQTT-3.1.0-2] (%i turns)",
  async (turns) => {
    const connects: number[] = [];
    const connack = generate({ cmd: "connack", reasonCode: 0, sessionPresent: true }, { protocolVersion: 5 });
    const server = createServer((socket) => {
      const at = connects.push(0) - 1;
      const decoder = parser({ protocolVersion: 5 });
      decoder.on("packet", ({ cmd }) => {
        if (cmd !== "connect") return;
        connects[at] = (connects[at] ?? 0) + 1;
        // The first connection is lost, so that the client sets out to try again.
        if (at === 0) socket.destroy();
        else socket.write(connack);
      });
      socket.on("data", (chunk) => decoder.parse(chunk));
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    // It listens on an address and a port.
    const { port } = server.address() as AddressInfo;
    const lost = new Promise((resolve) =>
      server.once("connection", (socket) => socket.once("close", resolve)),
    );
    {
      await using party = openMqttParty({ name: "roam5", version: 5, port, book: openBook() });
      await lost;
      for (let left = turns; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
      party.leave("cut");
      party.comeBack();
      // Both are due now: the new connection, and the timer that would try again.
      const until = performance.now() + 100;
      while (performance.now() < until);
      await party.ready();
      expect(Math.max(...connects)).toBe(1);
    }
    await new Promise((resolve) => server.close(resolve));
  },
);
