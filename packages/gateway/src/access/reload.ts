import { type Log, NomqError, type SessionLog } from "@nomq/core";
import type { AccessChange, AccessControl, AccessSettings } from "./access-control.ts";

/** What became of reading the `access` section again. */
export type AccessReloaded =
  | { readonly is: "changed"; readonly change: AccessChange }
  | { readonly is: "unchanged" }
  | {
      /** The old section stays in force. */ readonly is: "refused";
      readonly code: string;
      readonly text: string;
    };

/** What a reload works with. */
export interface AccessReloadUse {
  readonly control: AccessControl;
  /** Reads the section anew; throws what is wrong with the file. Absent: the gateway runs without a file. */
  readonly source: (() => AccessSettings | undefined) | undefined;
  readonly log: Log;
  readonly sessionLog: SessionLog;
}

/**
 * Reads the section again and takes it, all of it or nothing. A file without one is refused: whoever cuts off the file's
 * end must not open the gateway. Never throws.
 */
export function reloadAccess(use: AccessReloadUse, by: string): AccessReloaded {
  const result = reloaded(use);
  const { log, sessionLog } = use;
  switch (result.is) {
    case "changed":
      log.info("the access section was read again", { by, ...factsOf(result.change) });
      sessionLog.record({ who: by, what: "access.changed", details: factsOf(result.change) });
      break;
    case "unchanged":
      log.info("the access section was read again; nothing in it has changed", { by });
      break;
    case "refused":
      log.error("the access section was not taken; the old one stays in force", { by, reason: result.text });
      // The code alone: what a fault says may quote what was configured.
      sessionLog.record({ who: by, what: "access.refused", details: { reason: result.code } });
      break;
  }
  return result;
}

function reloaded({ control, source }: AccessReloadUse): AccessReloaded {
  try {
    if (source === undefined) return refused("no-file", "the gateway runs without a configuration file");
    const settings = source();
    if (settings === undefined) {
      if (!control.isOn()) return { is: "unchanged" };
      return refused(
        "access-missing",
        "the file has no access section; restart the gateway to run without one",
      );
    }
    const isFirst = !control.isOn();
    const change = control.replace(settings);
    return isFirst || hasChanged(change) ? { is: "changed", change } : { is: "unchanged" };
  } catch (error) {
    if (error instanceof NomqError) return refused(error.code, error.message);
    return refused("config-invalid", String(error));
  }
}

const refused = (code: string, text: string): AccessReloaded => ({ is: "refused", code, text });

function hasChanged(change: AccessChange): boolean {
  return Object.values(change).some((part) => part.length > 0);
}

/** Only what there is to say, each part as one text. */
function factsOf(change: AccessChange): Record<string, string> {
  const facts = Object.entries(change).map(([key, part]): [string, string] => [key, part.join(", ")]);
  return Object.fromEntries(facts.filter(([, fact]) => fact !== ""));
}
