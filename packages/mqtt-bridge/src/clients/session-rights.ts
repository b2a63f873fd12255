import type { Port, Principal } from "@nomq/core";
import type { IConnectPacket } from "mqtt-packet";
import { REASON } from "../front/packets.ts";
import type { SessionBounds } from "../session-limits.ts";
import type { SessionStore } from "../sessions/session-store.ts";
import type { LiveClients } from "./live-clients.ts";

/** A session that a client may not have. */
export interface SessionRefusal {
  readonly reason: "session-quota" | "session-of-another" | "will-access";
  readonly code: number;
}

/** Why a client may not have the session it asks for, if it may not. */
export function sessionRefusal(
  { clientId, clean, properties, will }: IConnectPacket,
  principal: Principal,
  use: {
    readonly port: Port;
    readonly sessions: SessionStore;
    readonly live: LiveClients;
    readonly bounds: Pick<SessionBounds, "most">;
  },
): SessionRefusal | undefined {
  const { port, sessions, live, bounds } = use;
  const owner = live.find(clientId)?.principal ?? sessions.find(clientId)?.owner;
  // Whoever has an account keeps its sessions and connections: a client id is known to others, and no secret.
  if (clientId !== "" && owner !== undefined && !isNobody(owner) && owner !== principal) {
    return { reason: "session-of-another", code: REASON.clientIdentifierNotValid };
  }
  if (will !== undefined && !port.may(principal, "publish", will.topic)) {
    return { reason: "will-access", code: REASON.notAuthorized };
  }
  const isLasting = clean !== true || (properties?.sessionExpiryInterval ?? 0) > 0;
  if (isLasting && !sessions.has(clientId) && sessions.count() >= bounds.most) {
    return { reason: "session-quota", code: REASON.quotaExceeded };
  }
  return undefined;
}

const isNobody = (who: Principal): boolean => who === "anonymous" || who.startsWith("addr:");
