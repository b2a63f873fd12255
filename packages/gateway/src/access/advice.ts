import type { Log, SessionEntry, SessionLog } from "@nomq/core";
import type { AccessControl } from "./access-control.ts";

/** Refusals remembered until the rules change; beyond that they are in the session log only. */
const MOST_SAID = 1_000;
/** Of a name that a stranger may make up. */
const MOST_NAME = 1_000;

const ACTIONS: Readonly<Record<string, "publish" | "subscribe">> = {
  "publish.refused": "publish",
  "subscription.refused": "subscribe",
};

/** The line under `access: rules:` that would allow it. */
export function ruleFor(who: string, action: "publish" | "subscribe", filter: string): string {
  return `- { who: ${JSON.stringify(who)}, ${action}: [${JSON.stringify(filter)}] }`;
}

/**
 * The session log, with a line in the log beside it for what the rules refused: once for each who, what and where, with
 * the line that would allow it.
 */
export function adviseOnRefusals(use: {
  readonly log: Log;
  readonly sessionLog: SessionLog;
  readonly control: Pick<AccessControl, "onChange">;
}): SessionLog {
  const { log, sessionLog, control } = use;
  const said = new Set<string>();
  control.onChange?.(() => said.clear());
  const advise = ({ who, what, details = {} }: SessionEntry): void => {
    const action = ACTIONS[what];
    const name = details["channel"] ?? details["filter"];
    if (action === undefined || details["reason"] !== "access" || typeof name !== "string") return;
    const key = JSON.stringify([who, action, name]);
    if (said.has(key) || said.size >= MOST_SAID || name.length > MOST_NAME) return;
    said.add(key);
    log.warn("refused by the access rules", {
      who,
      action,
      channel: name,
      admit: ruleFor(who, action, name),
    });
  };
  return {
    record(entry) {
      sessionLog.record(entry);
      advise(entry);
    },
  };
}
