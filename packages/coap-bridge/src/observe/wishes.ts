import type { CoapMessage } from "../wire/coap-message.ts";
import { MessageType } from "../wire/coap-message.ts";

/** What a registration's query asks of its notifications. */
export interface NotificationWishes {
  readonly confirmable: boolean;
  readonly all: boolean;
}

/**
 * How notifications go, from the registration's type and query: `qos=0` NON, `qos=1` and `qos=2` CON, else as the
 * request came (a CON asks for CON, TD_COAP_OBS_01; a NON for NON, TD_COAP_OBS_02). `all` (or `all=1`, `all=true`) asks
 * for every message instead of the newest, one at a time, and so for CON where no `qos` is said. Undefined: a value
 * that is none of these, to be answered 4.00.
 */
export function notificationWishes(
  type: CoapMessage["type"],
  query: { readonly qos?: string | undefined; readonly all?: string | undefined },
): NotificationWishes | undefined {
  const all = flag(query.all);
  if (all === undefined) return undefined;
  if (query.qos === undefined) return { confirmable: all || type === MessageType.confirmable, all };
  if (!/^[012]$/.test(query.qos)) return undefined;
  return { confirmable: query.qos !== "0", all };
}

function flag(value: string | undefined): boolean | undefined {
  if (value === undefined || value === "0" || value === "false") return false;
  return value === "" || value === "1" || value === "true" ? true : undefined;
}
