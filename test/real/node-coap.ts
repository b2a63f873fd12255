import { Agent, createServer, type IncomingMessage, ObserveReadStream, type OutgoingMessage } from "coap";

/** What node-coap's client brought back. */
export interface NodeCoapAnswer {
  readonly code: string;
  readonly body: Buffer;
  readonly options: IncomingMessage["headers"];
}

/** A request of node-coap's client to 127.0.0.1. */
export interface NodeCoapRequest {
  readonly method?: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: Buffer | string;
  readonly confirmable?: boolean;
  readonly options?: IncomingMessage["headers"];
}

/** node-coap's client, with an agent of its own. */
export interface NodeCoapClient extends AsyncDisposable {
  ask(request: NodeCoapRequest): Promise<NodeCoapAnswer>;
  /** Observes; what comes is appended to `bodies`. */
  observe(path: string): Promise<{ readonly bodies: readonly string[]; close(): void }>;
}

export function openNodeCoapClient(port: number): NodeCoapClient {
  const agent = new Agent({ type: "udp4" });
  const requestOf = (
    { method = "GET", path, body, confirmable = true, options = {} }: NodeCoapRequest,
    observe = false,
  ) => {
    const [pathname = "", query] = path.split("?");
    const request = agent.request({
      ...{ hostname: "127.0.0.1", port, method, pathname: `/${pathname}`, confirmable, observe, options },
      ...(query !== undefined && { query }),
    });
    // Bodies above one block go only by this (size exponent 6: 1,024 bytes).
    if (body !== undefined && body.length > 1_024) request.setOption("Block1", Buffer.of(6));
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.once("error", reject);
    });
    request.end(body);
    return answered;
  };
  return {
    async ask(request) {
      const { code, payload, headers } = await requestOf(request);
      return { code, body: payload, options: headers };
    },
    async observe(path) {
      const stream = await requestOf({ path }, true);
      if (!(stream instanceof ObserveReadStream)) throw new Error(`not observed: ${stream.code}`);
      const bodies: string[] = [];
      stream.on("data", (chunk: Buffer) => bodies.push(chunk.toString()));
      return { bodies, close: () => stream.close() };
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        if (agent._sock === null) return resolve();
        // Its `close` waits for ever for an observation that has ended.
        agent._doClose(() => resolve());
      }),
  };
}

/** node-coap's server on 127.0.0.1. */
export interface NodeCoapServer extends AsyncDisposable {
  readonly port: number;
}

export async function openNodeCoapServer(
  serve: (request: IncomingMessage, response: OutgoingMessage) => void,
): Promise<NodeCoapServer> {
  const server = createServer({ type: "udp4" }, serve);
  await new Promise<void>((resolve, reject) => {
    server.listen(0, "127.0.0.1", (error) => (error ? reject(error) : resolve()));
  });
  const { _sock: socket } = server;
  if (socket === null || !("address" in socket)) throw new Error("node-coap does not listen");
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
