import { type IncomingMessage, request } from "node:http";

/** What is asked over HTTP. */
export interface Asked {
  readonly path: string;
  readonly token?: string | undefined;
  /** Makes it a POST. */
  readonly body?: object;
}

/** Asks on a connection of its own, which ends with the answer: nothing keeps the gateway from stopping. */
export async function ask(port: number, { path, token, body }: Asked): Promise<IncomingMessage> {
  const headers = {
    ...(body !== undefined && { "content-type": "application/json" }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return await new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const asking = request({
      host: "127.0.0.1",
      port,
      path: `/api/v1/${path}`,
      method,
      headers,
      agent: false,
    });
    asking.once("response", resolve).once("error", reject);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The status and the body of an answer. */
export async function answerOf(port: number, asked: Asked): Promise<{ status: number; body: unknown }> {
  const response = await ask(port, asked);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) };
}
