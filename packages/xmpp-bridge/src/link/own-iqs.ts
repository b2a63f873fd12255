import { element } from "../stream/build.ts";
import { type Element, Namespace } from "../stream/element.ts";

/** A request to see whether the server lives, XEP-0199 section 4.2; any answer is a sign of life. */
export const pingOf = (domain: string): string =>
  element("iq", { type: "get", id: "ping", to: domain }, [
    element("ping", { xmlns: Namespace.ping }),
  ]).toString();

/** Our answer to an iq of somebody's: yes to a ping, no to everything else (RFC 6120 section 8.4). */
export function answerTo(iq: Element): string {
  const { id, from } = iq.attrs;
  const isPing = iq.attrs["type"] === "get" && iq.getChild("ping", Namespace.ping) !== undefined;
  if (isPing) return element("iq", { type: "result", id, to: from }).toString();
  const condition = element("service-unavailable", { xmlns: Namespace.stanzas });
  return element("iq", { type: "error", id, to: from }, [
    element("error", { type: "cancel" }, [condition]),
  ]).toString();
}
