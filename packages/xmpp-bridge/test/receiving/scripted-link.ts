import type { IqAnswer, Link, LinkState } from "../../src/link/link.ts";
import type { Element } from "../../src/stream/element.ts";

/** All that receiving uses of a link, and what moves it; connecting at first. */
export interface ScriptedLink {
  readonly link: Link;
  /** The link is up as `gw@h/r`. */
  online(resumed: boolean): void;
  tell(stanza: Element): void;
}

/** Makes one whose requests are answered by that function. */
export function scriptedLink(request: (iq: Element) => Promise<IqAnswer>): ScriptedLink {
  const stateHearers: ((state: LinkState) => void)[] = [];
  const stanzaHearers: ((stanza: Element) => void)[] = [];
  let state: LinkState = { is: "connecting", attempt: 1, since: 0 };
  const hear = <What>(list: ((what: What) => void)[]) => {
    return (hearer: (what: What) => void): (() => void) => {
      list.push(hearer);
      return () => void list.splice(list.indexOf(hearer), 1);
    };
  };
  const used: Pick<Link, "onStanza" | "onState" | "request" | "state"> = {
    ...{ request, state: () => state, onState: hear(stateHearers), onStanza: hear(stanzaHearers) },
  };
  return {
    // Only that is used.
    link: used as Link,
    online(resumed) {
      state = { is: "online", jid: "gw@h/r", resumed, since: 0 };
      for (const hearer of [...stateHearers]) hearer(state);
    },
    tell(stanza) {
      for (const hearer of [...stanzaHearers]) hearer(stanza);
    },
  };
}
