import type { Receipt } from "@nomq/core";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { fail, type failFor } from "../failure.ts";
import { publishRequest, readPublishRequest } from "../publish-request.ts";
import { type Route, route } from "../route.ts";
import { receiptSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";
import { whenFinal } from "../when-final.ts";

const ACK_TIMEOUT_MS = 10_000;
const MAX_PAYLOAD = 6 * 1_048_576;

const receipt = (description: string): { description: string; schema: typeof receiptSchema } => ({
  description,
  schema: receiptSchema,
});

/** `POST /api/v1/publish`. */
export function publishRoute(sources: ApiSources): Route {
  const { port, ack = "stored", ackTimeout = ACK_TIMEOUT_MS, maxPayload = MAX_PAYLOAD } = sources;
  return route({
    method: "post",
    path: "/api/v1/publish",
    id: "publish",
    summary: "Publish a message; the answer is its receipt, also of a refusal",
    scopes: ["publish"],
    body: publishRequest,
    bodyWanted: "a publish request: an object with channel",
    answers: {
      200: receipt("What became of the message when `until` was reached"),
      400: receipt("Refused by the hub: the channel or another value is not valid"),
      403: receipt("Refused: the caller may not publish to the channel"),
      413: receipt("Refused: too large"),
      429: receipt("Refused: an outbox that refuses is full"),
      503: receipt("Refused: the store cannot take it now"),
      507: receipt("Refused: the disk is full"),
      504: receipt("until: delivered, and not every attachment had it in time"),
    },
    async serve({ body, caller, context }) {
      const request = readPublishRequest(body, ack);
      if ("fault" in request) return fail(context, 400, { code: "request-invalid", text: request.fault });
      if (request.draft.payload.length > maxPayload) {
        const text = `the payload has more than ${maxPayload} bytes`;
        return fail(context, 413, { code: "too-large", text });
      }
      const until = request.until === "accepted" ? "accepted" : "stored";
      const { signal } = context.req.raw;
      const first = await port.publish(request.draft, caller.principal, { until, signal });
      if (first.at === "refused") {
        const { channel, reason = "refused" } = first;
        const details = { channel, reason, protocol: "http" };
        port.sessionLog.record({ who: caller.principal, what: "publish.refused", details });
        sources.refused?.(reason);
        return refused(context, first);
      }
      if (request.until !== "delivered") return context.json(first);
      const final = await whenFinal(port, first, ackTimeout);
      return context.json(final, final.outcomes.every(({ is }) => is === "delivered") ? 200 : 504);
    },
  });
}

function refused(context: Parameters<typeof failFor>[0], receipt: Receipt): Response {
  const status = refusalStatus(receipt.reason);
  if (status === 429 || status >= 503) context.header("retry-after", "1");
  return context.json(receipt, status);
}

/** What a refusal at the hub is in HTTP. */
function refusalStatus(reason = ""): ContentfulStatusCode {
  if (reason.startsWith("outbox-full")) return 429;
  const known: Readonly<Record<string, ContentfulStatusCode>> = {
    access: 403,
    "too-large": 413,
    "long-names-full": 429,
    "store-busy": 503,
    "store-failed": 503,
    "store-full": 507,
    closed: 503,
  };
  return known[reason] ?? 400;
}
