import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** So many TCP ports of 127.0.0.1 that nobody has, below those that the kernel gives away: while nothing listens there nobody gets one by chance. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const held = new Map<number, Server>();
  while (held.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
      held.set(port, server);
    } catch {
      // Taken: another.
    }
  }
  await Promise.all([...held.values()].map((server) => new Promise((closed) => server.close(closed))));
  return [...held.keys()];
}
