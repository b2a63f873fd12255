import { randomBytes, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import {
  blockOf,
  blockValue,
  type CoapOptionPair,
  type CoapPacket,
  type CoapType,
  DELETE,
  decodeCoap,
  EMPTY,
  encodeCoap,
  GET,
  numberOf,
  OPTION,
  optionOf,
  POST,
  PUT,
  uint,
} from "../../../../test/real/coap-wire.ts";

type MethodName = "get" | "post" | "put" | "delete";
const METHODS: Readonly<Record<MethodName, string>> = { get: GET, post: POST, put: PUT, delete: DELETE };

/** A request; a path's levels are one Uri-Path option each. */
export interface Asked {
  /** Default `get`. */
  readonly method?: MethodName;
  /** A channel: its levels are split at each slash. */
  readonly path: string;
  /** Default `con`. */
  readonly type?: "con" | "non";
  readonly query?: readonly string[];
  readonly payload?: Buffer;
  readonly options?: readonly CoapOptionPair[];
}

/** The answer, its blocks put together. */
export interface Reply {
  readonly code: string;
  readonly options: readonly CoapOptionPair[];
  readonly payload: Buffer;
  /** Whether it came confirmable, or in the acknowledgement. */
  readonly type: CoapType;
}

/** An observation that is asked for; `tell` is called for the answer and all that follows, oldest first. */
export interface Observed extends Omit<Asked, "method"> {
  tell(reply: Reply): void;
}

/** One CoAP endpoint: a socket that asks, acknowledges and observes. */
export interface CoapClient extends AsyncDisposable {
  readonly port: number;
  /** Resolves with the answer; undefined where none came in time. */
  ask(asked: Asked): Promise<Reply | undefined>;
  /** Registers, and resolves with the first answer, `registered` where it has an Observe option. */
  observe(observed: Observed): Promise<Reply & { readonly registered: boolean }>;
}

const AGAIN_MS = 2_000;
const MOST_TRIES = 6;
const BLOCK = 1_024;

/** Opens one; its requests go to `127.0.0.1:port`, `from` another address of this machine where it is given. */
export async function openCoapClient(port: number, from = "127.0.0.1"): Promise<CoapClient> {
  const socket = createSocket("udp4").bind(0, from);
  await once(socket, "listening");
  return new OneClient(socket, port);
}

class OneClient implements CoapClient {
  readonly #socket: Socket;
  readonly #to: number;
  /** Who waits for the answer with a token. */
  readonly #tokens = new Map<string, (reply: CoapPacket) => void>();
  /** Observations by token. */
  readonly #watched = new Map<string, (reply: CoapPacket) => void>();
  readonly #acked = new Set<number>();
  /** Resolves when it is disposed of: nobody waits any longer. */
  readonly #over = Promise.withResolvers<undefined>();
  #isOver = false;
  #id = randomInt(65_536);

  constructor(socket: Socket, to: number) {
    this.#socket = socket;
    this.#to = to;
    socket.on("message", (bytes) => this.#take(decodeCoap(bytes)));
    socket.on("error", () => undefined);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  #take(came: CoapPacket): void {
    if (came.type === "ACK") this.#acked.add(came.messageId);
    if (came.code === EMPTY) return;
    const token = came.token.toString("hex");
    const wanted = this.#tokens.get(token) ?? this.#watched.get(token);
    if (came.type === "CON") this.#empty(wanted === undefined ? "RST" : "ACK", came.messageId);
    if (came.type === "NON" && wanted === undefined) this.#empty("RST", came.messageId);
    wanted?.(came);
  }

  #empty(type: CoapType, messageId: number): void {
    const nothing = Buffer.alloc(0);
    this.#write({ type, code: EMPTY, messageId, token: nothing, options: [], payload: nothing });
  }

  #write(datagram: CoapPacket): void {
    if (!this.#isOver) this.#socket.send(encodeCoap(datagram), this.#to, "127.0.0.1");
  }

  /** One message and its answer, with no regard to blocks. */
  async #exchange(
    asked: Omit<Asked, "path">,
    options: readonly CoapOptionPair[],
    token: Buffer,
  ): Promise<CoapPacket | undefined> {
    this.#id = (this.#id + 1) & 0xffff;
    const { method = "get", type = "con", payload = Buffer.alloc(0) } = asked;
    const code = METHODS[method];
    const message = {
      type: type === "con" ? ("CON" as const) : ("NON" as const),
      code,
      messageId: this.#id,
      token,
      options,
      payload,
    };
    const key = token.toString("hex");
    const came = Promise.withResolvers<CoapPacket>();
    this.#tokens.set(key, came.resolve);
    let answer: CoapPacket | undefined;
    for (let tries = 0; tries < MOST_TRIES && answer === undefined && !this.#isOver; tries += 1) {
      if (!this.#acked.has(message.messageId) && (type === "con" || tries === 0)) this.#write(message);
      answer = await soon([came.promise, this.#over.promise], AGAIN_MS);
    }
    this.#tokens.delete(key);
    return answer;
  }

  async ask(asked: Asked): Promise<Reply | undefined> {
    const { payload = Buffer.alloc(0) } = asked;
    const said = saidOptions(asked);
    for (let num = 0; payload.length > BLOCK; num += 1) {
      const rest = payload.subarray(num * BLOCK);
      const block = blockValue({ num, more: rest.length > BLOCK, size: BLOCK });
      const part = { ...asked, payload: rest.subarray(0, BLOCK) };
      const answer = await this.#exchange(part, [...said, [OPTION.block1, block]], randomBytes(4));
      if (answer?.code !== "2.31") return answer && (await this.#whole(asked, answer));
    }
    const answer = await this.#exchange(asked, said, randomBytes(4));
    return answer && (await this.#whole(asked, answer));
  }

  /** The first block and those that follow it; undefined where it changed meanwhile. */
  async #whole(asked: Pick<Asked, "path" | "options">, first: CoapPacket): Promise<Reply | undefined> {
    const parts = [first.payload];
    const etag = optionOf(first, OPTION.etag)?.toString("hex");
    let block = blockOf(first, OPTION.block2);
    const path = saidOptions({ path: asked.path, options: asked.options ?? [] });
    while (block?.more === true) {
      const wanted = blockValue({ num: block.num + 1, more: false, size: block.size });
      const next = await this.#exchange({}, [...path, [OPTION.block2, wanted]], randomBytes(4));
      if (next?.code !== "2.05" || optionOf(next, OPTION.etag)?.toString("hex") !== etag) return undefined;
      parts.push(next.payload);
      block = blockOf(next, OPTION.block2);
    }
    const { code, options, type } = first;
    return { code, options, type, payload: Buffer.concat(parts) };
  }

  async observe({ tell, ...asked }: Observed): Promise<Reply & { readonly registered: boolean }> {
    const token = randomBytes(4);
    const ids = new Set<number>();
    const early: CoapPacket[] = [];
    let newest: number | undefined;
    let turn: Promise<unknown> | undefined;
    const take = (came: CoapPacket): void => {
      const number = numberOf(came, OPTION.observe);
      // RFC 7641, section 3.4, without its clock: numbers of a test do not go round.
      const isOld = number !== undefined && newest !== undefined && number <= newest;
      if (ids.has(came.messageId) || isOld) return;
      ids.add(came.messageId);
      newest = number ?? newest;
      turn = (turn ?? Promise.resolve()).then(async () => {
        const whole = await this.#whole(asked, came);
        if (whole !== undefined) tell(whole);
      });
    };
    this.#watched.set(token.toString("hex"), (came) => {
      if (turn === undefined) early.push(came);
      else take(came);
    });
    const options: CoapOptionPair[] = [...saidOptions(asked), [OPTION.observe, uint(0)]];
    const answer = await this.#exchange(asked, options, token);
    if (answer === undefined) throw new Error(`${asked.path}: no answer`);
    const registered = numberOf(answer, OPTION.observe) !== undefined;
    if (!registered) this.#watched.delete(token.toString("hex"));
    take(answer);
    await turn;
    for (const one of early) take(one);
    const whole = { code: answer.code, options: answer.options, type: answer.type, payload: answer.payload };
    return { ...whole, registered };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#over.resolve(undefined);
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

function saidOptions({ path, query = [], options = [] }: Asked): readonly CoapOptionPair[] {
  return [
    ...path.split("/").map((level): CoapOptionPair => [OPTION.uriPath, Buffer.from(level)]),
    ...query.map((each): CoapOptionPair => [OPTION.uriQuery, Buffer.from(each)]),
    ...options,
  ];
}

async function soon<T>(promises: readonly Promise<T>[], ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([...promises, late]);
  } finally {
    clearTimeout(timer);
  }
}
