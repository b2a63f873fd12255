import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that kernels give out: while a server is down, nobody who asks for any port gets its own. */
const FIRST = 10_000;
const COUNT = 20_000;
const HOST = "127.0.0.1";
/** Another address of this machine: whoever chose a port holds it here, and nobody else here chooses it. */
const HOLDER = "127.0.0.2";
const held: Socket[] = [];

/** So many ports of 127.0.0.1 that nobody has, for TCP or UDP; nobody else who asks here gets them while this process runs. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if ((await hold(port)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

async function hold(port: number): Promise<boolean> {
  const socket = createSocket("udp4").unref();
  try {
    await bound(socket, port, HOLDER);
  } catch (error) {
    socket.close();
    // Only Linux has the address by itself. Elsewhere ports are drawn from so many that two seldom meet.
    return String(error).includes("EADDRNOTAVAIL");
  }
  held.push(socket);
  return true;
}

async function isFree(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const server = createServer();
  try {
    await bound(socket, port, HOST);
    server.listen(port, HOST);
    await once(server, "listening");
  } catch {
    return false;
  } finally {
    const closed = once(socket, "close");
    socket.close();
    await closed;
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
  return true;
}

async function bound(socket: Socket, port: number, host: string): Promise<void> {
  socket.bind({ port, address: host, exclusive: true });
  await once(socket, "listening");
}
