import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** A TCP and a UDP port that this test holds. */
export async function takenPorts(): Promise<{ tcp: number; udp: number } & AsyncDisposable> {
  const server = createServer().listen(0, "127.0.0.1");
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await Promise.all([once(server, "listening"), once(socket, "listening")]);
  const address = server.address();
  return {
    tcp: typeof address === "object" && address !== null ? address.port : 0,
    udp: socket.address().port,
    async [Symbol.asyncDispose]() {
      const closed = Promise.all([once(server, "close"), once(socket, "close")]);
      server.close();
      socket.close();
      await closed;
    },
  };
}
