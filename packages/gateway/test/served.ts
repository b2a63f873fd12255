import { request } from "node:http";
import { expect } from "vitest";
import type { MessageJson } from "../src/api/message-json.ts";
import { type ControlClient, createControlClient } from "../src/control/control-client.ts";
import { createGateway, type Gateway, parseConfig } from "../src/index.ts";
import { testFolder } from "./launch.ts";

/** A gateway in this process, without listeners of its bridges unless given. */
interface Served extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly client: ControlClient;
  readonly socket: string;
  /** The real addresses of its listeners. */
  readonly listen: Readonly<Record<string, readonly string[]>>;
}

export async function served(text = "nomq: { listen: [] }\nmqtt: { listen: [] }"): Promise<Served> {
  const folder = testFolder();
  const gateway = createGateway({
    config: parseConfig({ name: "test", text: inMemory(text), folder: folder.path }),
  });
  const { controlSocket, listen } = await gateway.start();
  return {
    gateway,
    client: createControlClient(controlSocket),
    socket: controlSocket,
    listen,
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      folder[Symbol.dispose]();
    },
  };
}

/** What tests the store names its folder; the others need not wait for a disk. */
const inMemory = (text: string): string => {
  const has = (key: string): boolean => new RegExp(`^${key}:`, "m").test(text);
  const bare = ["coap", "http"].filter((section) => !has(section));
  return `${has("data") ? "" : "data: memory\n"}${bare.map((section) => `${section}: { listen: [] }\n`).join("")}${text}`;
};

/** An open stream. */
interface Reading extends AsyncDisposable {
  next(): Promise<MessageJson | undefined>;
}

/** Reads a stream: resolves once it is in force; `next` gives its messages in order. */
export async function reading(
  client: ControlClient,
  filters: readonly string[],
  retained = true,
): Promise<Reading> {
  const end = new AbortController();
  const stream = client.stream({ filters, retained, signal: end.signal })[Symbol.asyncIterator]();
  expect((await stream.next()).value).toEqual({ event: "ready" });
  return {
    async next(): Promise<MessageJson | undefined> {
      const { value } = await stream.next();
      return value?.event === "message" ? value.message : undefined;
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      await stream.return?.();
    },
  };
}

interface Raw {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Uint8Array;
}

/** A request as any program may send it. */
export async function raw(
  socketPath: string,
  { method = "GET", path, body }: Raw,
): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    const asking = request({ socketPath, method, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asking.once("error", reject);
    asking.end(body);
  });
}

/** The attachments as the API shows them. */
export const names = async (client: ControlClient): Promise<unknown> =>
  (await client.get("/api/v1/attachments")).body;
