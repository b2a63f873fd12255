import type { Port } from "@nomq/core";
import type { Front } from "../front/front.ts";
import { REASON } from "../front/packets.ts";
import type { ClientDirectory } from "./client-directory.ts";

/** The clients that are connected, and what becomes of them when the rules change. */
export interface LiveClients {
  add(front: Front): void;
  /** The connection that has the client id now. */
  find(clientId: string): Front | undefined;
  /** Ends those whose account is gone, and those that may no longer have anything they have subscribed to. */
  review(): void;
}

/** Makes the list; a client leaves it with its connection. */
export function createLiveClients(port: Port, clients: ClientDirectory): LiveClients {
  const fronts = new Set<Front>();
  const byId = new Map<string, Front>();
  const isCutOff = (front: Front): boolean => {
    const filters = Object.keys(clients.clientOf(front.stream)?.subscriptions ?? {});
    const reaches = (filter: string): boolean => port.extent(front.principal, "subscribe", filter) !== "none";
    return filters.length > 0 && !filters.some(reaches);
  };
  return {
    add(front) {
      fronts.add(front);
      byId.set(front.connect.clientId, front);
      front.stream.once("close", () => {
        fronts.delete(front);
        if (byId.get(front.connect.clientId) === front) byId.delete(front.connect.clientId);
      });
    },
    find: (clientId) => byId.get(clientId),
    review() {
      for (const front of [...fronts]) {
        if (!front.isValid()) front.cut(REASON.notAuthorized, "login-withdrawn");
        else if (isCutOff(front)) front.cut(REASON.notAuthorized, "access");
      }
    },
  };
}
