import type { Port } from "@nomq/core";
import type { XmppSettings } from "./options.ts";
import type { ServiceState } from "./publishing/service-watch.ts";
import { absence } from "./status.ts";

/**
 * Writes into the session log when the pubsub service is reached, and why it is not, each reason once. What the connection
 * does the link says in the log; what the service does is said here.
 */
export function createServiceRecords(
  { log, sessionLog }: Pick<Port, "log" | "sessionLog">,
  { domain, pubsub, service, username }: XmppSettings,
): (state: ServiceState) => void {
  const where = { service, pubsub, account: `${username}@${domain}` };
  let told: string | undefined;
  const tell = (what: "service.reached" | "service.lost", reason?: string): boolean => {
    const word = reason ?? "";
    if (word === told) return false;
    told = word;
    const details = reason === undefined ? where : { ...where, reason };
    sessionLog.record({ who: "xmpp", what, details });
    return true;
  };
  return (state) => {
    if (state.is === "there") tell("service.reached");
    if (state.is === "absent" && tell("service.lost", `${pubsub}: ${state.reason}`))
      log.warn("no XMPP pubsub service", { pubsub, reason: absence(state.reason) });
    // While it connects nothing has changed.
    if (state.is === "offline" && state.link.is === "waiting") tell("service.lost", state.link.reason);
  };
}
