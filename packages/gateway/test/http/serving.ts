import { connect } from "node:net";
import { createGateway, type Gateway, parseConfig } from "../../src/index.ts";
import { testFolder } from "../launch.ts";

/** A gateway in this process that serves HTTP. */
export interface Serving extends AsyncDisposable {
  readonly gateway: Gateway;
  /** Of its first HTTP listener: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly controlSocket: string;
  /** A request to it; the body is sent as JSON. */
  ask(path: string, asked?: Asked): Promise<Answered>;
}

/** What is asked besides the path. */
export interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** An answer with its body as JSON, or as text where it is none. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export const TOKENS: Readonly<Record<"writer" | "reader" | "admin", string>> = {
  writer: "writer-token-0123456789",
  reader: "reader-token-0123456789",
  admin: "admin-token-01234567890",
};

/** Tokens with one scope each, and what their rules let them do. */
export const ACCESS: string = `
access:
  tokens:
    - { name: writer, token: ${TOKENS.writer}, scopes: [publish] }
    - { name: reader, token: ${TOKENS.reader}, scopes: [subscribe] }
    - { name: admin, token: ${TOKENS.admin}, scopes: [admin] }
  rules:
    - { who: "token:writer", publish: ["open/#"] }
    - { who: "token:reader", subscribe: ["open/#"] }
`;

const BARE = { data: "memory", nomq: "{ listen: [] }", mqtt: "{ listen: [] }", coap: "{ listen: [] }" };

/** Starts one with lines of `gateway.yaml`; its data is in memory and it has no other listeners unless they say so. */
export async function serving(text = "", http = "{ url: 'http://127.0.0.1:0' }"): Promise<Serving> {
  const folder = testFolder();
  const rest = Object.entries(BARE).filter(([key]) => !new RegExp(`^${key}:`, "m").test(text));
  const lines = rest.map(([key, value]) => `${key}: ${value}\n`).join("");
  const config = parseConfig({
    name: "test",
    text: `${lines}http: { listen: [${http}] }\n${text}`,
    folder: folder.path,
  });
  const gateway = createGateway({ config });
  const { listen, controlSocket } = await gateway.start();
  const url = listen["http"]?.[0] ?? "";
  return {
    gateway,
    url,
    port: Number(/:(\d+)$/.exec(url)?.[1]),
    controlSocket,
    ask: (path, asked) => ask(`${url}${path}`, asked),
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      folder[Symbol.dispose]();
    },
  };
}

async function ask(
  url: string,
  { method = "GET", token, headers = {}, body }: Asked = {},
): Promise<Answered> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...authorization },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: jsonOf(text) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Sends bytes as they are and resolves with all that comes back before the other side ends the connection. */
export async function sendRaw(port: number, text: string): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(answer));
  });
}

/** An open stream of server-sent events. */
export interface Events extends AsyncDisposable {
  readonly status: number;
  /** The next event; undefined once the stream has ended. */
  next(): Promise<{ event: string; data: unknown } | undefined>;
}

/** Opens one. */
export async function events(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Events> {
  const end = new AbortController();
  const response = await fetch(url, { headers, signal: end.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    status: response.status,
    async next() {
      for (;;) {
        const at = text.indexOf("\n\n");
        if (at !== -1) {
          const block = text.slice(0, at);
          text = text.slice(at + 2);
          const event = /^event: (.*)$/m.exec(block)?.[1];
          if (event !== undefined) return { event, data: jsonOf(/^data: (.*)$/m.exec(block)?.[1] ?? "") };
          continue;
        }
        const read = await reader?.read().catch(() => undefined);
        if (read?.value === undefined) return undefined;
        text += read.value;
      }
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      await reader?.cancel().catch(() => undefined);
    },
  };
}
