import { z } from "zod";
import { type Route, route } from "../route.ts";
import { attachmentSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";

/** `GET /api/v1/attachments`. */
export const attachmentsRoute = (sources: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/attachments",
    id: "attachments",
    summary: "Everyone attached to the hub, with filters and ledger",
    scopes: ["admin"],
    answers: { 200: { description: "One entry each", schema: z.array(attachmentSchema) } },
    serve: ({ context }) => context.json(attachments(sources)),
  });

/** Attachments; those of NoMQ peers also tell whether the peer is there. */
function attachments(sources: ApiSources): readonly object[] {
  const devices = sources.devices?.() ?? [];
  const presences = new Map(devices.map(({ attachment, ...presence }) => [attachment, presence]));
  return sources.attachments().map((each) => {
    const presence = presences.get(each.name);
    return presence === undefined ? each : { ...each, presence };
  });
}
