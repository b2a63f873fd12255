import {
  type AddressCheck,
  admittingEntry,
  anonymousCheck,
  createRefusalLog,
  type Log,
  type Principal,
  type SessionLog,
} from "@nomq/core";
import type { Remote } from "../messaging/messaging.ts";
import type { ListenerSettings } from "../options.ts";

/** A listener, and who may come to it without credentials. */
export interface Gate {
  readonly settings: ListenerSettings;
  readonly admits: AddressCheck;
}

/** Who a remote is; undefined: nobody that may ask anything here (4.01). */
export interface Admission {
  principalOf(remote: Remote): Principal | undefined;
  /** The listener a remote speaks to. */
  settingsOf(remote: Remote): ListenerSettings | undefined;
}

/** What {@link createAdmission} needs. */
export interface AdmissionOptions {
  /** By the name of their socket. */
  readonly gates: ReadonlyMap<string, Gate>;
  readonly log: Log;
  readonly sessionLog: SessionLog;
}

/** Checks each listener's `anonymous`. Throws `config-invalid` with its path. */
export function gatesOf(listeners: readonly ListenerSettings[]): readonly Gate[] {
  return listeners.map((settings, at) => ({
    settings,
    admits: anonymousCheck(settings.anonymous, `coap.listen[${at}]`),
  }));
}

/** Makes the decision, once for each remote while it is known. */
export function createAdmission({ gates, log, sessionLog }: AdmissionOptions): Admission {
  const known = new WeakMap<Remote, Principal | "nobody">();
  const refusals = createRefusalLog({
    log,
    said: "CoAP client refused",
    advice: { anonymous: (address, url) => admittingEntry(url, address) },
  });

  const decide = (remote: Remote): Principal | "nobody" => {
    const { host: address } = remote;
    const gate = gates.get(remote.via);
    if (gate === undefined) return "nobody";
    if (gate.admits(address)) return `addr:${address}`;
    refusals.say("anonymous", { address, listener: gate.settings });
    const details = { reason: "anonymous", address, listener: gate.settings.url };
    sessionLog.record({ who: `addr:${address}`, what: "client.refused", details });
    return "nobody";
  };
  return {
    principalOf(remote) {
      let who = known.get(remote);
      if (who === undefined) {
        who = decide(remote);
        known.set(remote, who);
      }
      return who === "nobody" ? undefined : who;
    },
    settingsOf: ({ via }) => gates.get(via)?.settings,
  };
}
