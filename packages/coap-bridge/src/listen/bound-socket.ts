import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import {
  type Clock,
  codeOf,
  createFailureWatch,
  type Endpoint,
  type FailureWatch,
  type Log,
} from "@nomq/core";

/** With the 208 KB of most systems, bursts of acknowledgements are lost. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

/** So often at most, in milliseconds, a send is asked whether it left: a call back from each costs a tenth of an answer. */
const ASK_EVERY_MS = 10;

/** How a socket is bound. */
export interface Binding extends Endpoint {
  /** Others of this user may bind the port as well, if they say so too: for multicast groups, and beside them. Default false. */
  readonly shared?: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** One UDP socket, bound. */
export interface BoundSocket extends AsyncDisposable {
  readonly socket: Socket;
  readonly local: Endpoint;
  /** `::` takes both families. */
  readonly family: "dual" | "ipv6" | "ipv4";
  /** Resolves with the reason once it no longer works. */
  readonly failed: Promise<string>;
  /** Never throws, waits for nothing. */
  send(datagram: Uint8Array, port: number, address: string): void;
  onDatagram(receive: (datagram: Uint8Array, from: RemoteInfo) => void): void;
}

/** Binds a socket; rejects with what the system says. */
export async function bindSocket(binding: Binding): Promise<BoundSocket> {
  const { host, port, shared = false } = binding;
  const socket = createSocket({
    type: isIP(host) === 6 ? "udp6" : "udp4",
    reuseAddr: false,
    reusePort: shared,
    recvBufferSize: RECEIVE_BUFFER,
    // Hosts are literals: answering here keeps a turn of the resolver out of every send.
    lookup: (literal, _options, found) => found(null, literal, isIP(literal)),
  });
  const bound = Promise.withResolvers<void>();
  socket.once("error", bound.reject);
  socket.bind({ address: host, port, exclusive: true }, bound.resolve);
  try {
    await bound.promise;
    socket.off("error", bound.reject);
  } catch (error) {
    socket.close();
    throw error;
  }
  return wrap(socket, binding);
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
    family: host === "::" ? "dual" : isIP(host) === 6 ? "ipv6" : "ipv4",
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

function hasAddress(host: string): boolean {
  if (host === "::" || host === "0.0.0.0" || host.startsWith("127.")) return true;
  const [plain] = host.split("%", 1);
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === plain));
}
