import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { echoAskedFor, type RequestOptions, requestOf } from "./requests.ts";

/** A UDP socket on loopback that speaks to one port only. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

const AGAIN_MS = 2_000;

/**
 * Sends a request until it is answered, with the Echo option where the server asks for one: it does so while it cannot
 * know that this address is ours. Resolves with the answer.
 */
export async function greet(socket: Socket, options: RequestOptions): Promise<Buffer> {
  let asked = options;
  for (;;) {
    const answer = await exchange(socket, requestOf(asked));
    const echo = echoAskedFor(answer);
    if (echo === undefined) return answer;
    asked = { ...asked, messageId: (asked.messageId + 1) & 0xffff, echo };
  }
}

function exchange(socket: Socket, request: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const again = setInterval(() => socket.send(request), AGAIN_MS);
    const take = (datagram: Buffer): void => {
      // An empty acknowledgement: the answer follows.
      if (datagram[1] === 0) return;
      clearInterval(again);
      socket.off("message", take);
      resolve(datagram);
    };
    socket.on("message", take);
    socket.send(request);
  });
}
