import type { AbortOptions } from "@nomq/core";
import type { IqAnswer, Link, RequestOptions } from "../link/link.ts";
import type { PubsubRequests } from "./pubsub-request.ts";

/** What a service says of itself (XEP-0030), asked for once in each session. */
export interface ServiceInfo {
  /** Asks, ahead of what waits. */
  ask(options?: AbortOptions): Promise<IqAnswer>;
  /** What it has said in this session, or is about to say; asks only where it has said nothing. */
  said(options?: AbortOptions): Promise<IqAnswer>;
}

/** What asking needs. */
export interface ServiceInfoUse {
  readonly link: Pick<Link, "request" | "state">;
  readonly requests: PubsubRequests;
}

/** Makes it; asks nobody yet. */
export function createServiceInfo({ link, requests }: ServiceInfoUse): ServiceInfo {
  /** A link has another state in each session. */
  let last: { readonly in: unknown; readonly answer: Promise<IqAnswer> } | undefined;
  const ask = (options: RequestOptions): Promise<IqAnswer> => {
    const answer = link.request(requests.info(), options);
    last = { in: link.state(), answer };
    return answer;
  };
  return {
    ask: (options = {}) => ask({ ...options, first: true }),
    async said(options = {}) {
      const answer = last !== undefined && last.in === link.state() ? await last.answer : undefined;
      // Who had asked may have given up.
      return answer?.is === "result" ? answer : ask(options);
    },
  };
}
