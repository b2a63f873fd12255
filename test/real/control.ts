import { type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";

/** A message as the API's stream shows it. */
export interface StreamedMessage {
  readonly id: string;
  readonly channel: string;
  readonly payload?: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly contentType?: string;
  readonly priority: number;
  readonly expiresAt?: number;
}

/** A receipt as the API shows it. */
export interface ShownReceipt {
  readonly at: string;
  readonly outcomes: readonly {
    readonly attachment: string;
    readonly is: string;
    readonly reason?: string;
  }[];
}

/** A connection for each request: the gateway may just be ending one that was kept, and a busy machine hears of it too late. */
const agent = false;

function get(socketPath: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, agent }, resolve).once("error", reject).end();
  });
}

/** GET on the control socket; the answer's text. */
export async function askControlText(socketPath: string, path: string): Promise<string> {
  let text = "";
  for await (const chunk of await get(socketPath, path)) text += String(chunk);
  return text;
}

/** POST of a JSON body on the control socket. */
export async function postControl(
  socketPath: string,
  path: string,
  body: unknown,
): Promise<{ readonly status: number; readonly body: string }> {
  const headers = { "content-type": "application/json" };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, method: "POST", headers, agent }, resolve)
      .once("error", reject)
      .end(JSON.stringify(body));
  });
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, body: text };
}

/** As {@link askControlText}; the answer's JSON. */
export async function askControl(socketPath: string, path: string): Promise<unknown> {
  return JSON.parse(await askControlText(socketPath, path));
}

/** Follows `/api/v1/stream`; resolves when the subscription is in force. Ends with `close`. */
export async function streamMessages(
  socketPath: string,
  filter: string,
): Promise<{ next(): Promise<StreamedMessage>; close(): void }> {
  const response = await get(socketPath, `/api/v1/stream?filter=${encodeURIComponent(filter)}`);
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  const nextData = async (wanted: string): Promise<string> => {
    let event = "";
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`the stream ended before its ${wanted}`);
      if (value.startsWith("event:")) event = value.slice(6).trim();
      if (value.startsWith("data:") && event === wanted) return value.slice(5).trim();
    }
  };
  await nextData("ready");
  return {
    // The API's own shape (design of the stream).
    next: async () => JSON.parse(await nextData("message")) as StreamedMessage,
    close: () => response.destroy(),
  };
}
