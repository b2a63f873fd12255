import { connect as connectTcp, type Socket } from "node:net";
import { generate, type IConnackPacket, type IPublishPacket, type Packet, parser } from "mqtt-packet";
import type { Book, Sent } from "./book.ts";

/** A client of MQTT 3.1.1 or 5 with a persistent session, its own half of it in memory. */
export interface MqttParty extends AsyncDisposable {
  readonly name: string;
  /** Publishes; settles in the book. Resolves when it is settled. */
  publish(sent: Sent): Promise<void>;
  /** Goes away: `cut` without a word, else by DISCONNECT; stays away until `comeBack`. */
  leave(how: "cut" | "politely"): void;
  comeBack(): void;
  /** Resolves when connected and subscribed. */
  ready(): Promise<void>;
  readonly isOnline: boolean;
  /** Connections on which the broker did not know a session that it had confirmed before. */
  readonly sessionsLost: number;
  /** Refusals of CONNECT, of publishes and of connections, in words. */
  readonly faults: readonly string[];
}

/** How a client is made. */
export interface MqttPartyOptions {
  readonly name: string;
  readonly version: 4 | 5;
  readonly port: number;
  readonly book: Book;
  readonly filters?: readonly string[];
  /** Of its subscriptions; default 2. */
  readonly qos?: 0 | 1 | 2;
  /** Default true. */
  readonly persistent?: boolean;
}

interface Outgoing {
  readonly sent: Sent;
  readonly packet: IPublishPacket;
  isReleased: boolean;
  readonly done: () => void;
}

const RECONNECT_MS = 50;

/** Opens a client, which connects again whenever its connection ends. */
export function openMqttParty(options: MqttPartyOptions): MqttParty {
  return new Client(options);
}

class Client implements MqttParty {
  readonly name: string;
  sessionsLost = 0;
  readonly faults: string[] = [];
  readonly #options: MqttPartyOptions;
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #incoming = new Set<number>();
  #lastId = 0;
  #socket: Socket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isAway = false;
  #isEnded = false;
  #isConnected = false;
  #isSubscribed: boolean;
  #isSubscribing = false;
  #waiting: (() => void)[] = [];

  constructor(options: MqttPartyOptions) {
    this.#options = options;
    this.name = options.name;
    this.#isSubscribed = (options.filters ?? []).length === 0;
    this.#connect();
  }

  get isOnline(): boolean {
    return this.#isConnected && this.#isSubscribed;
  }

  ready(): Promise<void> {
    return this.isOnline ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  publish(sent: Sent): Promise<void> {
    const messageId = this.#freeId();
    // Stopped between the two by a busy machine, it would be over, and none can be less than nothing.
    const seconds =
      sent.endsAt === undefined ? undefined : Math.max(0, Math.ceil((sent.endsAt - Date.now()) / 1000));
    const packet: IPublishPacket = {
      cmd: "publish",
      topic: sent.channel,
      payload: sent.clears ? "" : sent.id,
      qos: sent.qos,
      retain: sent.retain,
      dup: false,
      messageId,
      ...(seconds !== undefined && { properties: { messageExpiryInterval: seconds } }),
    };
    if (sent.qos === 0) {
      this.#send(packet);
      this.#options.book.settle(sent, "unknown");
      return Promise.resolve();
    }
    return new Promise((done) => {
      this.#outgoing.set(messageId, { sent, packet, isReleased: false, done });
      this.#send(packet);
    });
  }

  leave(how: "cut" | "politely"): void {
    this.#isAway = true;
    if (how === "politely" && this.#isConnected) {
      this.#send({ cmd: "disconnect" });
      this.#socket?.end();
    } else this.#socket?.destroy();
    this.#isConnected = false;
  }

  comeBack(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    if (this.#socket === undefined) this.#connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    if (socket === undefined) return;
    await new Promise((resolve) => {
      socket.once("close", resolve);
      socket.destroy();
    });
  }

  #connect(): void {
    clearTimeout(this.#retry);
    if (this.#isEnded || this.#isAway) return;
    const { version, port, name, persistent = true } = this.#options;
    const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    const decoder = parser({ protocolVersion: version });
    this.#socket = socket;
    decoder.on("packet", (packet) => {
      if (socket === this.#socket) this.#take(packet);
    });
    decoder.on("error", (error) => this.faults.push(`sent what is no MQTT: ${error.message}`));
    socket.on("data", (chunk) => decoder.parse(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (socket !== this.#socket) return;
      this.#socket = undefined;
      this.#isConnected = false;
      this.#isSubscribing = false;
      // Nothing tells a client when a broker is there again: it asks.
      if (!this.#isEnded && !this.#isAway) this.#retry = setTimeout(() => this.#connect(), RECONNECT_MS);
    });
    socket.on("connect", () =>
      this.#write({
        cmd: "connect",
        clientId: name,
        clean: !persistent,
        keepalive: 0,
        protocolVersion: version,
        ...(version === 5 && persistent && { properties: { sessionExpiryInterval: 3_600 } }),
      }),
    );
  }

  #take(packet: Packet): void {
    const messageId = "messageId" in packet ? (packet.messageId ?? 0) : 0;
    if (packet.cmd === "connack") this.#connected(packet);
    else if (packet.cmd === "suback") this.#subscribed(packet.granted.map(Number));
    else if (packet.cmd === "publish") this.#receive(packet);
    else if (packet.cmd === "disconnect") this.faults.push(`DISCONNECT ${packet.reasonCode ?? 0}`);
    else if (packet.cmd === "pubrel") {
      this.#incoming.delete(messageId);
      this.#send({ cmd: "pubcomp", messageId });
    } else if (packet.cmd === "puback" || packet.cmd === "pubrec" || packet.cmd === "pubcomp") {
      this.#answered(packet.cmd, messageId, packet.reasonCode ?? 0);
    }
  }

  #connected(packet: IConnackPacket): void {
    const code = packet.reasonCode ?? packet.returnCode ?? 0;
    if (code !== 0) {
      this.faults.push(`CONNECT refused ${code}`);
      return;
    }
    if (!packet.sessionPresent) {
      // The client must forget its half (MQTT 5.0 section 3.2.2.1.1).
      if (this.#hadSession) this.sessionsLost += 1;
      this.#incoming.clear();
      this.#isSubscribed = (this.#options.filters ?? []).length === 0;
    }
    this.#hadSession = this.#options.persistent !== false;
    this.#isConnected = true;
    if (!this.#isSubscribed) this.#subscribe();
    for (const [messageId, { packet: again, isReleased }] of this.#outgoing) {
      if (isReleased && packet.sessionPresent === true) this.#send({ cmd: "pubrel", messageId });
      else if (isReleased) this.#finish(messageId);
      else this.#send({ ...again, dup: packet.sessionPresent === true });
    }
    this.#tell();
  }

  #hadSession = false;

  #subscribe(): void {
    if (this.#isSubscribing) return;
    this.#isSubscribing = true;
    const { filters = [], qos = 2 } = this.#options;
    const subscriptions = filters.map((topic) => ({ topic, qos }));
    this.#send({ cmd: "subscribe", messageId: this.#freeId(), subscriptions });
  }

  #subscribed(granted: readonly number[]): void {
    if (granted.some((code) => code > 2)) this.faults.push(`SUBSCRIBE refused ${granted.join()}`);
    this.#isSubscribing = false;
    this.#isSubscribed = true;
    this.#tell();
  }

  #receive(packet: IPublishPacket): void {
    const messageId = packet.messageId ?? 0;
    const isKnown = packet.qos === 2 && this.#incoming.has(messageId);
    if (!isKnown) {
      const { topic: channel, payload, qos } = packet;
      this.#options.book.receive(this.name, { id: payload.toString(), channel, qos });
    }
    if (packet.qos === 1) this.#send({ cmd: "puback", messageId });
    if (packet.qos === 2) {
      this.#incoming.add(messageId);
      this.#send({ cmd: "pubrec", messageId });
    }
  }

  #answered(cmd: "puback" | "pubrec" | "pubcomp", messageId: number, code: number): void {
    const one = this.#outgoing.get(messageId);
    if (one === undefined) {
      if (cmd === "pubrec") this.#send({ cmd: "pubrel", messageId });
      return;
    }
    if (cmd === "pubcomp") {
      this.#finish(messageId);
      return;
    }
    const isRefused = code >= 0x80;
    this.#options.book.settle(one.sent, isRefused ? "refused" : "acked");
    if (cmd === "puback" || isRefused) {
      this.#finish(messageId);
      return;
    }
    one.isReleased = true;
    this.#send({ cmd: "pubrel", messageId });
  }

  #finish(messageId: number): void {
    const one = this.#outgoing.get(messageId);
    this.#outgoing.delete(messageId);
    one?.done();
  }

  #freeId(): number {
    do this.#lastId = (this.#lastId % 0xffff) + 1;
    while (this.#outgoing.has(this.#lastId));
    return this.#lastId;
  }

  #tell(): void {
    if (!this.isOnline) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  /** Nothing leaves before CONNACK: what waits is sent then. */
  #send(packet: Packet): void {
    if (this.#isConnected) this.#write(packet);
  }

  #write(packet: Packet): void {
    this.#socket?.write(generate(packet, { protocolVersion: this.#options.version }));
  }
}
