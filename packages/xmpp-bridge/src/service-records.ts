import type { SessionLog } from "@nomq/core";
import type { XmppSettings } from "./options.ts";
import type { ServiceState } from "./publishing/service-watch.ts";

/** Writes into the session log when the pubsub service is reached, and why it is not, each reason once. */
export function createServiceRecords(
  sessionLog: SessionLog,
  { domain, pubsub, service, username }: XmppSettings,
): (state: ServiceState) => void {
  const where = { service, pubsub, account: `${username}@${domain}` };
  let told: string | undefined;
  const tell = (what: "service.reached" | "service.lost", reason?: string): void => {
    const word = reason ?? "";
    if (word === told) return;
    told = word;
    const details = reason === undefined ? where : { ...where, reason };
    sessionLog.record({ who: "xmpp", what, details });
  };
  return (state) => {
    if (state.is === "there") tell("service.reached");
    if (state.is === "absent") tell("service.lost", `${pubsub}: ${state.reason}`);
    // While it connects nothing has changed.
    if (state.is === "offline" && state.link.is === "waiting") tell("service.lost", state.link.reason);
  };
}
