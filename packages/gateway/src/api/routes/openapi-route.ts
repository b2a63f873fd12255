import { z } from "zod";
import { gatewayVersion } from "../../version.ts";
import { type Json, openApi } from "../openapi.ts";
import { type Route, route } from "../route.ts";

/** `GET /api/v1/openapi.json`: the document of all routes, itself among them. */
export function openApiRoute(routes: readonly Route[]): Route {
  let document: Json | undefined;
  const own: Route = route({
    method: "get",
    path: "/api/v1/openapi.json",
    id: "openApi",
    summary: "This document",
    scopes: [],
    answers: { 200: { description: "OpenAPI 3.1", schema: z.looseObject({ openapi: z.string() }) } },
    serve({ context }) {
      document ??= openApi([...routes, own], gatewayVersion());
      return context.json(document);
    },
  });
  return own;
}
