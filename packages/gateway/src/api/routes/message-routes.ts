import { z } from "zod";
import { fail } from "../failure.ts";
import { type MessageJson, messageJson } from "../message-json.ts";
import { type Route, route } from "../route.ts";
import { channelSchema, filterSchema, messageSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";

/** What is known of channels. */
export const messageRoutes = (sources: ApiSources): readonly Route[] => [
  channelsRoute(sources),
  latestRoute(sources),
  historyRoute(sources),
];

const channelsRoute = ({ port }: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/channels",
    id: "channels",
    summary: "The channels that are known",
    scopes: ["subscribe"],
    query: z.object({ filter: filterSchema.default("#") }),
    answers: { 200: { description: "Names the caller may subscribe to", schema: z.array(z.string()) } },
    async serve({ query, caller, context }) {
      const names: string[] = [];
      for await (const name of port.channels(query.filter, { follow: false })) {
        if (port.may(caller.principal, "subscribe", name)) names.push(name);
      }
      return context.json(names);
    },
  });

const latestRoute = ({ port }: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/channels/{channel}",
    id: "latest",
    summary: "The retained message of a channel",
    scopes: ["subscribe"],
    params: z.object({ channel: channelSchema }),
    answers: {
      200: { description: "The message", schema: messageSchema },
    },
    async serve({ params, caller, context }) {
      const message = await port.latest(params.channel, caller.principal);
      if (message !== undefined) return context.json(messageJson(message));
      return fail(context, 404, { code: "not-found", text: "the channel has no retained message" });
    },
  });

const historyRoute = ({ port }: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/history/{channel}",
    id: "history",
    summary: "The messages that the channel's history keeps, oldest first",
    scopes: ["subscribe"],
    params: z.object({ channel: channelSchema }),
    query: z.object({
      last: z.int(LAST).min(1, LAST).max(MOST, LAST).default(MOST).describe("At most so many, the youngest"),
      since: z
        .int(SINCE)
        .min(0, SINCE)
        .exactOptional()
        .describe("Published then or later, Unix milliseconds"),
    }),
    answers: {
      200: {
        description: "What `keep.history` has kept and has not expired",
        schema: z.array(messageSchema),
      },
    },
    async serve({ params: { channel }, query, caller, context }) {
      if (!port.may(caller.principal, "subscribe", channel)) {
        return fail(context, 403, { code: "access", text: "no rule lets the caller read this channel" });
      }
      const messages: MessageJson[] = [];
      let bytes = 0;
      for await (const message of port.history(channel, query, caller.principal)) {
        messages.push(messageJson(message));
        bytes += message.payload.length;
        if (bytes > MOST_BYTES) {
          const text = `more than ${MOST_BYTES} bytes; ask for fewer with last or since`;
          return fail(context, 413, { code: "too-large", text });
        }
      }
      return context.json(messages);
    },
  });

/** An answer is put together in memory. */
const MOST = 10_000;
const MOST_BYTES = 16 * 1_048_576;
const LAST = { error: `expected a whole number from 1 to ${MOST}` };
const SINCE = { error: "expected Unix milliseconds" };
