import type { Port } from "@nomq/core";
import type { ChannelLinksOptions } from "../discovery/channel-links.ts";
import { createChannelNames } from "../discovery/channel-names.ts";
import { createDiscovery } from "../discovery/discovery.ts";
import { CORE_PATH, type Places } from "../programs/places.ts";
import { actionOf, createPrograms, type Programs } from "../programs/programs.ts";
import { Method, Response } from "../wire/code.ts";
import type { Elsewhere, ElsewhereAsked } from "./serve.ts";

/** What {@link createElsewhere} needs. */
export interface ElsewhereOptions extends Pick<ChannelLinksOptions, "paths" | "formatsOf"> {
  readonly port: Port;
  readonly places: Places;
}

const NOT_FOUND = { code: Response.notFound } as const;
const NOT_ALLOWED = { code: Response.methodNotAllowed } as const;

/** What is there besides channels: `/.well-known/core`, and resources of programs. Follows the hub until disposed of. */
export function createElsewhere(options: ElsewhereOptions): Elsewhere & Disposable {
  const { port, places } = options;
  const { clock, log } = port;
  const names = createChannelNames();
  names.start(port);
  const programs = createPrograms({ places, port, clock, log });
  const discovery = createDiscovery({ ...options, clock, names, others: programs.links });
  const unwatch = port.onAccessChange(() => discovery.forget());
  return {
    channels: places.channels,
    answer: (asked) =>
      asked.path === CORE_PATH
        ? asked.withBody(() => discovery.answer(asked.request, asked.as))
        : answerOf(programs, asked),
    [Symbol.dispose]() {
      unwatch();
      names.stop();
      discovery[Symbol.dispose]();
    },
  };
}

/** The right is checked before a body is taken, block by block. */
function answerOf(programs: Programs, asked: ElsewhereAsked): ReturnType<Elsewhere["answer"]> {
  const { request, as, path, withBody, forbid } = asked;
  const resource = programs.at(path);
  if (resource === undefined) return NOT_FOUND;
  if (request.toGroup && request.code !== Method.get) return NOT_ALLOWED;
  const action = actionOf(request.code);
  if (!programs.may(as, action, path)) return forbid(action, path);
  return withBody((body) => programs.answer({ resource, request, body, as }));
}
