import { setTimeout as sleep } from "node:timers/promises";
import { silentLog, systemClock } from "@nomq/core";
import type { FakeClock } from "@nomq/core/testing";
import { createLink } from "../../src/link/create-link.ts";
import type { IqAnswer, Link, LinkState } from "../../src/link/link.ts";
import type { LinkOptions } from "../../src/link/options.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";

/** A link as tests use it. */
export interface Linked extends AsyncDisposable {
  readonly link: Link;
  /** All states so far. */
  readonly states: readonly LinkState[];
  readonly stanzas: readonly Element[];
  /** The first state, now or later, that it holds for. */
  until<Is extends LinkState["is"]>(
    is: Is,
    holds?: (state: Extract<LinkState, { is: Is }>) => boolean,
  ): Promise<Extract<LinkState, { is: Is }>>;
  ping(): Promise<IqAnswer>;
}

/** Starts a link of `gw@localhost`. */
export function linked(service: string, more: Partial<LinkOptions> = {}): Linked {
  const link = createLink({
    ...{ service, domain: "localhost", username: "gw", password: "gwpw", resource: "nomq" },
    ...{ clock: systemClock, log: silentLog, random: () => 0 },
    ...more,
  });
  const states: LinkState[] = [];
  const stanzas: Element[] = [];
  link.onState((state) => states.push(state));
  link.onStanza((stanza) => stanzas.push(stanza));
  link.start();
  return {
    link,
    states,
    stanzas,
    until: (is, holds = () => true) =>
      new Promise((resolve) => {
        const look = (state: LinkState): boolean => {
          // Only states of that kind are asked about.
          const found = state as Extract<LinkState, { is: typeof is }>;
          if (state.is !== is || !holds(found)) return false;
          resolve(found);
          return true;
        };
        if (look(link.state())) return;
        const stop = link.onState((state) => {
          if (look(state)) stop();
        });
      }),
    ping: () => link.request(pingTo("localhost")),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

export const pingTo = (to: string): Element =>
  element("iq", { type: "get", to }, [element("ping", { xmlns: Namespace.ping })]);

/** Moves time on until it holds: sockets settle between, which a busy system may do later than in the same turn. */
export async function advanceUntil(clock: FakeClock, holds: () => boolean, step = 250): Promise<void> {
  for (let count = 0; count < 1_000 && !holds(); count += 1) {
    await clock.advance(step);
    await sleep(1);
  }
  if (!holds()) throw new Error("it never came about");
}
