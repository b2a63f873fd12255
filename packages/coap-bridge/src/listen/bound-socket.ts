import type { RemoteInfo, Socket } from "node:dgram";
import {
  bindUdpSocket,
  type Clock,
  codeOf,
  createFailureWatch,
  type Endpoint,
  type FailureWatch,
  familyOf,
  hasAddress,
  type Log,
  type SocketFamily,
  type UdpBinding,
} from "@nomq/core";

/** So often at most, in milliseconds, a send is asked whether it left: a call back from each costs a tenth of an answer. */
const ASK_EVERY_MS = 10;

/** How a socket is bound; `shared` for multicast groups, and beside them. */
export interface Binding extends UdpBinding {
  readonly clock: Clock;
  readonly log: Log;
}

/** One UDP socket, bound. */
export interface BoundSocket extends AsyncDisposable {
  readonly socket: Socket;
  readonly local: Endpoint;
  readonly family: SocketFamily;
  /** Resolves with the reason once it no longer works. */
  readonly failed: Promise<string>;
  /** Never throws, waits for nothing. */
  send(datagram: Uint8Array, port: number, address: string): void;
  onDatagram(receive: (datagram: Uint8Array, from: RemoteInfo) => void): void;
}

/** Binds a socket; rejects with what the system says. */
export async function bindSocket(binding: Binding): Promise<BoundSocket> {
  return wrap(await bindUdpSocket(binding), binding);
}

function wrap(socket: Socket, { host, clock, log }: Binding): BoundSocket {
  const { address, port } = socket.address();
  const { promise: failed, resolve: fails } = Promise.withResolvers<string>();
  const watch = createFailureWatch({ hasAddress: () => hasAddress(host), now: () => clock.monotonic() });
  let isClosed = false;
  let receiver: ((datagram: Uint8Array, from: RemoteInfo) => void) | undefined;
  const left = leaving(watch, { fails, log });
  let askFrom = Number.NEGATIVE_INFINITY;

  socket.on("error", (error) => {
    log.warn("UDP socket error", { port, code: codeOf(error) });
    const reason = watch.reported(codeOf(error));
    if (reason !== undefined) fails(reason);
  });
  socket.on("message", (datagram, from) => {
    try {
      receiver?.(datagram, from);
    } catch (error) {
      log.error("receiver of a datagram threw", { error: codeOf(error) });
    }
  });
  return {
    socket,
    failed,
    local: { host: address, port },
    family: familyOf(host),
    send(datagram, to, at) {
      if (isClosed) return;
      const now = clock.monotonic();
      try {
        if (now < askFrom) {
          socket.send(datagram, to, at);
          return;
        }
        askFrom = now + ASK_EVERY_MS;
        socket.send(datagram, to, at, left);
      } catch (error) {
        left(error);
      }
    },
    onDatagram(receive) {
      receiver = receive;
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** One function for all sends: a closure for each would cost more than the datagram. */
function leaving(
  watch: FailureWatch,
  { fails, log }: { readonly fails: (reason: string) => void; readonly log: Log },
): (error: unknown) => void {
  return (error) => {
    if (error === null || error === undefined) {
      watch.sent();
      return;
    }
    const code = codeOf(error);
    log.debug("datagram lost", { code });
    const reason = watch.notSent(code);
    if (reason !== undefined) fails(reason);
  };
}
