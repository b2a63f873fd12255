import type { Action, Clock, Log, Port, Principal } from "@nomq/core";
import { plainAnswer, type Whole } from "../blocks/whole.ts";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { OptionNumber } from "../wire/coap-message.ts";
import { type Code, Method, Response } from "../wire/code.ts";
import type { Link, LinkAttribute } from "../wire/link-format.ts";
import { uintValue } from "../wire/option-value.ts";
import { hrefOf } from "../wire/uri-path.ts";
import type { CoapResource } from "./coap-resource.ts";
import { askNodeCoap } from "./node-coap-server.ts";
import type { Places } from "./places.ts";

/** What {@link createPrograms} needs. */
export interface ProgramsOptions {
  readonly places: Places;
  readonly port: Pick<Port, "may">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Resources that programs add, answered by node-coap off the hot path. */
export interface Programs {
  /** The resource at a path, if there is one. */
  at(path: string): CoapResource | undefined;
  /** Whether somebody may do this to the resource at a path. */
  may(as: Principal, action: Action, path: string): boolean;
  /** Runs it; its right is the caller's to check. */
  answer(asked: ProgramAsked): Promise<Whole>;
  /** Links of what the asker may read. */
  links(as: Principal): readonly Link[];
}

/** One request to a program. */
export interface ProgramAsked {
  readonly resource: CoapResource;
  readonly request: IncomingRequest;
  /** All of its body. */
  readonly body: Uint8Array;
  readonly as: Principal;
}

/**
 * What a request does to a resource that is no channel: reading (GET, FETCH) takes the right to subscribe to a channel of
 * its path, everything else the right to publish to it.
 */
export const actionOf = (code: Code): Action =>
  code === Method.get || code === Method.fetch ? "subscribe" : "publish";

/** Requests that programs work on at one time. */
const MOST_RUNNING = 256;
/** Seconds after which to try again where they are all busy. */
const BUSY_S = 5;

/** Makes what runs them. */
export function createPrograms({ places, port, clock, log }: ProgramsOptions): Programs {
  let running = 0;

  const run = async ({ resource, request, body, as }: ProgramAsked): Promise<Whole> => {
    running += 1;
    try {
      return await askNodeCoap(request, body, {
        clock,
        failed: (error) => log.warn("a CoAP resource failed", { path: resource.path, error: String(error) }),
        run: (incoming, response) => resource.handle(incoming, response, { principal: as }),
      });
    } finally {
      running -= 1;
    }
  };
  return {
    at: (path) => places.byPath.get(path),
    may: (as, action, path) => port.may(as, action, path),
    async answer(asked) {
      if (running < MOST_RUNNING) return run(asked);
      return plainAnswer(Response.serviceUnavailable, [
        { number: OptionNumber.maxAge, value: uintValue(BUSY_S) },
      ]);
    },
    links: (as) =>
      [...places.byPath.values()]
        .filter(({ path, listed = true }) => listed && port.may(as, "subscribe", path))
        .map(({ path, attributes = {} }) => linkOf(path, attributes)),
  };
}

function linkOf(path: string, given: Readonly<Record<string, string | true>>): Link {
  const attributes = Object.entries(given).map(
    ([name, value]): LinkAttribute => (value === true ? [name] : [name, value]),
  );
  return { href: hrefOf(path.split("/")), plain: `/${path}`, attributes };
}
