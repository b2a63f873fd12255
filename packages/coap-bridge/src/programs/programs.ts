import type { Clock, Log, Port, Principal } from "@nomq/core";
import { NomqError } from "@nomq/core";
import { plainAnswer, type Whole } from "../blocks/whole.ts";
import type { Link, LinkAttribute } from "../discovery/link-format.ts";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { OptionNumber } from "../wire/coap-message.ts";
import { Method, Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";
import type { CoapResource } from "./coap-resource.ts";
import { askNodeCoap } from "./node-coap-server.ts";

/** What {@link createPrograms} needs. */
export interface ProgramsOptions {
  readonly resources: readonly CoapResource[];
  readonly port: Pick<Port, "may">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Resources that programs add, answered by node-coap off the hot path. */
export interface Programs {
  /** The resource at a path (levels joined by `/`), if there is one. */
  at(path: string): CoapResource | undefined;
  /**
   * Runs it. Reading (GET, FETCH) asks for the right to subscribe to a channel of its path, everything else for the right
   * to publish to it: 4.03.
   */
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

/** Requests that programs work on at one time. */
const MOST_RUNNING = 256;
/** Seconds after which to try again where they are all busy. */
const BUSY_S = 5;

/** Throws `config-invalid` where two have one path, or a path is none. */
export function createPrograms({ resources, port, clock, log }: ProgramsOptions): Programs {
  const byPath = new Map<string, CoapResource>();
  for (const resource of resources) {
    const { path } = resource;
    if (byPath.has(path) || path === "" || path.startsWith("/"))
      throw new NomqError(
        "config-invalid",
        `coap.resources: "${path}" must be a path of its own, like admin/uptime`,
      );
    byPath.set(path, resource);
  }
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
    at: (path) => byPath.get(path),
    async answer(asked) {
      const { code } = asked.request;
      const action = code === Method.get || code === Method.fetch ? "subscribe" : "publish";
      if (!port.may(asked.as, action, asked.resource.path)) return plainAnswer(Response.forbidden);
      if (running < MOST_RUNNING) return run(asked);
      return plainAnswer(Response.serviceUnavailable, [
        { number: OptionNumber.maxAge, value: uintValue(BUSY_S) },
      ]);
    },
    links: (as) =>
      resources
        .filter(({ path, listed = true }) => listed && port.may(as, "subscribe", path))
        .map(({ path, attributes = {} }) => linkOf(path, attributes)),
  };
}

function linkOf(path: string, given: Readonly<Record<string, string | true>>): Link {
  const attributes = Object.entries(given).map(
    ([name, value]): LinkAttribute => (value === true ? [name] : [name, value]),
  );
  return { href: `/${path.split("/").map(encodeURIComponent).join("/")}`, plain: `/${path}`, attributes };
}
