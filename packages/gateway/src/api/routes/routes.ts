import type { Route } from "../route.ts";
import type { ApiSources } from "../sources.ts";
import { createStreams } from "../streams.ts";
import { accessRoutes } from "./access-routes.ts";
import { attachmentsRoute } from "./attachment-routes.ts";
import { healthRoutes } from "./health-routes.ts";
import { logRoute } from "./log-route.ts";
import { messageRoutes } from "./message-routes.ts";
import { nameRoutes } from "./name-routes.ts";
import { openApiRoute } from "./openapi-route.ts";
import { publishRoute } from "./publish-route.ts";
import { receiptRoute } from "./receipt-route.ts";
import { streamRoute } from "./stream-route.ts";

/** Everything the API serves. */
export function routesOf(sources: ApiSources): readonly Route[] {
  const { streams = createStreams(sources.port) } = sources;
  const routes = [
    ...healthRoutes(sources),
    publishRoute(sources),
    ...messageRoutes(sources),
    receiptRoute(sources, streams),
    streamRoute(sources, streams),
    attachmentsRoute(sources),
    ...nameRoutes(sources),
    ...accessRoutes(sources),
    logRoute(sources),
  ];
  return [...routes, openApiRoute(routes)];
}
