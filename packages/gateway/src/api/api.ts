import {
  type AttachmentState,
  type DevicePresence,
  isValidFilter,
  NomqError,
  type NomqNames,
  type Port,
  type Principal,
} from "@nomq/core";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { fail } from "./failure.ts";
import type { Health } from "./health.ts";
import { messageJson } from "./message-json.ts";
import { serveNames } from "./names.ts";
import { readPublishRequest } from "./publish-request.ts";
import { receiptOf, whenFinal } from "./receipts.ts";
import { NOT_JSON, readJson } from "./request-body.ts";
import { streamMessages } from "./stream.ts";

/** What the API stands on. The control socket serves it, and HTTP listeners can. */
export interface ApiOptions {
  readonly port: Port;
  /** In whose name a request acts. */
  principal(context: Context): Principal;
  health(): Health;
  attachments(): readonly AttachmentState[];
  /** Which NoMQ peers are there. Default: none is known. */
  devices?(): readonly DevicePresence[];
  /** Names that NoMQ channels get at run time. Undefined without a NoMQ side; absent: there is none. */
  names?(): NomqNames | undefined;
  /** False while the gateway starts or stops: everything but `/healthz` is then answered 503. Default: always true. */
  isOpen?(): boolean;
  /** Largest request body in bytes. Default 8 MiB. */
  readonly maxBody?: number;
  /** How long `until: delivered` waits, in milliseconds. Default 10,000. */
  readonly ackTimeout?: number;
}

const MAX_BODY = 8 * 1_048_576;
const ACK_TIMEOUT_MS = 10_000;

/** Makes the handlers of `/healthz` and `/api/v1` (docs/api.md). */
export function createApi(options: ApiOptions): Hono {
  const app = new Hono();
  app.onError((error, context) => failed(context, error, options.port));
  app.notFound((context) => fail(context, 404, { code: "not-found", text: "no such resource" }));
  app.get("/healthz", (context) => {
    const health = options.health();
    return context.json(health, health.ready ? 200 : 503);
  });
  app.use("/api/*", async (context, next) => {
    // Before every bridge has claimed its interest, a message would be acknowledged and routed nowhere.
    if (options.isOpen?.() === false)
      return fail(context, 503, { code: "closed", text: "the gateway is starting or stopping" });
    await next();
    return undefined;
  });
  const tooLarge = (context: Context): Response =>
    fail(context, 413, { code: "too-large", text: "the body is too large" });
  const limit = bodyLimit({ maxSize: options.maxBody ?? MAX_BODY, onError: tooLarge });
  app.post("/api/v1/publish", limit, (context) => publish(context, options));
  app.get("/api/v1/stream", (context) => stream(context, options));
  app.get("/api/v1/attachments", (context) => context.json(attachments(options)));
  serveNames(app, limit, options);
  app.get("/api/v1/receipts/:id", (context) => receiptOf(context, options.port));
  app.get("/api/v1/channels", (context) => channels(context, options));
  app.get("/api/v1/channels/:channel{.+}", (context) => latest(context, options));
  return app;
}

/** Attachments; those of NoMQ peers also tell whether the peer is there. */
function attachments(options: ApiOptions): readonly object[] {
  const devices = options.devices?.() ?? [];
  const presences = new Map(devices.map(({ attachment, ...presence }) => [attachment, presence]));
  return options.attachments().map((each) => {
    const presence = presences.get(each.name);
    return presence === undefined ? each : { ...each, presence };
  });
}

async function publish(context: Context, options: ApiOptions): Promise<Response> {
  const body = await readJson(context);
  if (body === undefined) return fail(context, 400, NOT_JSON);
  const request = readPublishRequest(body);
  if ("fault" in request) return fail(context, 400, { code: "request-invalid", text: request.fault });
  const { port, ackTimeout = ACK_TIMEOUT_MS } = options;
  const until = request.until === "accepted" ? "accepted" : "stored";
  const receipt = await port.publish(request.draft, options.principal(context), {
    until,
    signal: context.req.raw.signal,
  });
  if (receipt.at === "refused") return context.json(receipt, refusalStatus(receipt.reason));
  if (request.until !== "delivered") return context.json(receipt);
  const final = await whenFinal(port, receipt, ackTimeout);
  return context.json(final, final.outcomes.every(({ is }) => is === "delivered") ? 200 : 504);
}

async function stream(context: Context, options: ApiOptions): Promise<Response> {
  const filters = context.req.queries("filter") ?? ["#"];
  const invalid = filters.find((filter) => !isValidFilter(filter));
  if (invalid !== undefined)
    return fail(context, 400, { code: "filter-invalid", text: "+ is one whole level, # the last" });
  const retained = context.req.query("retained") !== "false";
  return await streamMessages(context, {
    port: options.port,
    as: options.principal(context),
    filters,
    retained,
  });
}

async function channels(context: Context, options: ApiOptions): Promise<Response> {
  const filter = context.req.query("filter") ?? "#";
  if (!isValidFilter(filter))
    return fail(context, 400, { code: "filter-invalid", text: "+ is one whole level, # the last" });
  const as = options.principal(context);
  const names: string[] = [];
  for await (const name of options.port.channels(filter, { follow: false })) {
    if (options.port.may(as, "subscribe", name)) names.push(name);
  }
  return context.json(names);
}

async function latest(context: Context, options: ApiOptions): Promise<Response> {
  const channel = context.req.param("channel") ?? "";
  const message = await options.port.latest(channel, options.principal(context));
  if (message === undefined)
    return fail(context, 404, { code: "not-found", text: "the channel has no retained message" });
  return context.json(messageJson(message));
}

/** What a refusal at the hub is in HTTP. */
function refusalStatus(reason = ""): ContentfulStatusCode {
  if (reason.startsWith("outbox-full")) return 429;
  const known: Readonly<Record<string, ContentfulStatusCode>> = {
    access: 403,
    "too-large": 413,
    "store-busy": 503,
    "store-failed": 503,
    closed: 503,
  };
  return known[reason] ?? 400;
}

function failed(context: Context, error: unknown, port: Port): Response {
  if (error instanceof NomqError) {
    const status = error.code === "filter-invalid" ? 400 : 503;
    return fail(context, status, { code: error.code, text: error.message });
  }
  port.log.error("a request failed", { path: context.req.path, error: String(error) });
  return fail(context, 500, { code: "internal", text: "the gateway failed; its log says how" });
}
