import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import type { IConnectPacket, IPublishPacket, Packet, PacketCmd } from "mqtt-packet";
import { generate, parser } from "mqtt-packet";

/** A client that sends what it is told and shows what it gets, packet by packet. */
export interface RawClient extends AsyncDisposable {
  readonly socket: Socket;
  readonly got: Packet[];
  /** Resolves when the broker has closed the connection. */
  readonly closed: Promise<void>;
  send(...packets: (Packet | Buffer)[]): void;
  /** The first packet of that kind not yet taken; waits for it. Rejects when the connection closes first. */
  take<C extends PacketCmd>(cmd: C): Promise<Extract<Packet, { cmd: C }>>;
  /** Everything sent so far has been handled: three PINGREQ have come back, one after another. */
  settled(): Promise<void>;
  /** Publishes got so far: topics and texts. */
  messages(): string[];
  end(): Promise<void>;
}

export type RawOptions = Partial<Omit<IConnectPacket, "cmd">> & {
  readonly port: number;
  /** What goes in the same segment behind CONNECT. */
  readonly behind?: readonly Packet[];
  /** Does not wait for CONNACK. */
  readonly bare?: boolean;
  /** Sends no CONNECT. */
  readonly silent?: boolean;
};

export const publishOf = (
  given: Partial<IPublishPacket> & { readonly messageId?: number },
): IPublishPacket => ({
  cmd: "publish",
  topic: "a",
  payload: "x",
  qos: 0,
  retain: false,
  dup: false,
  ...given,
});

export async function connectRaw(options: RawOptions): Promise<RawClient> {
  const { port, behind = [], bare = false, silent = false, ...given } = options;
  const protocolVersion = given.protocolVersion ?? 5;
  const version = { protocolVersion };
  const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
  const got: Packet[] = [];
  const untaken: Packet[] = [];
  let waiters: (() => void)[] = [];
  const wake = (): void => {
    const woken = waiters;
    waiters = [];
    for (const resume of woken) resume();
  };
  let isClosed = false;

  const decoder = parser(version);
  decoder.on("packet", (packet) => {
    got.push(packet);
    untaken.push(packet);
    wake();
  });
  socket.on("data", (chunk) => decoder.parse(chunk));
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => {
      isClosed = true;
      wake();
      resolve();
    });
  });
  await new Promise((resolve) => socket.once("connect", resolve));

  const send = (...packets: (Packet | Buffer)[]): void => {
    socket.write(Buffer.concat(packets.map((one) => (Buffer.isBuffer(one) ? one : generate(one, version)))));
  };
  const take = async <C extends PacketCmd>(cmd: C): Promise<Extract<Packet, { cmd: C }>> => {
    for (;;) {
      const at = untaken.findIndex((packet) => packet.cmd === cmd);
      // `cmd` is what tells the packets apart.
      if (at !== -1) return untaken.splice(at, 1)[0] as Extract<Packet, { cmd: C }>;
      if (isClosed) throw new Error(`closed before ${cmd}; got ${got.map((one) => one.cmd).join(", ")}`);
      await new Promise<void>((resolve) => waiters.push(resolve));
    }
  };
  const end = async (): Promise<void> => {
    socket.destroy();
    await closed;
  };
  const client: RawClient = {
    socket,
    got,
    closed,
    send,
    take,
    async settled() {
      for (let round = 0; round < 3; round += 1) {
        send({ cmd: "pingreq" });
        await take("pingresp");
      }
    },
    messages: () =>
      got.flatMap((one) => (one.cmd === "publish" ? [`${one.topic} ${one.payload.toString()}`] : [])),
    end,
    [Symbol.asyncDispose]: end,
  };
  if (silent) return client;
  const clientId = given.clientId ?? `raw-${Math.random().toString(36).slice(2)}`;
  send({ cmd: "connect", clean: true, keepalive: 0, ...given, clientId, protocolVersion }, ...behind);
  if (!bare) await take("connack");
  return client;
}
