import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { type AnonymousRule, anonymousCheck, type Principal, plainAddress } from "@nomq/core";
import type { Accounts } from "../access/index.ts";
import { ALL_SCOPES, type Caller, type TurnedAway } from "../api/caller.ts";

/** How a listener finds out who asks. */
export interface CallersOptions {
  /** Undefined without `access`: whoever the listener admits may then do everything. */
  accounts(): Accounts | undefined;
  /** Who may come without a token. */
  readonly anonymous: AnonymousRule;
  /** The key of the listener, `http.listen[0]`: refusals name what would admit a client. */
  readonly key: string;
}

/** Finds the caller of a request, or why it is turned away. */
export type FindCaller = (request: IncomingMessage) => Caller | TurnedAway;

/**
 * Makes the search of one listener. A request with `Authorization` is whom its token names and nobody else; one
 * without is the name in its verified client certificate, else its address, if the listener's `anonymous` admits it.
 * Throws `config-invalid` for what is no network.
 */
export function createFindCaller({ accounts, anonymous, key }: CallersOptions): FindCaller {
  const isAdmitted = admission(anonymous, key);
  return (request) => {
    const { authorization } = request.headers;
    if (authorization !== undefined) return byToken(accounts(), authorization, addressOf(request));
    const certified = certifiedName(request);
    if (certified !== undefined) return unchecked(`cert:${certified}`, accounts());
    const address = addressOf(request);
    if (isAdmitted(request, address)) return unchecked(`addr:${address}`, accounts());
    return {
      turned: 401,
      error: {
        code: "token-missing",
        text: `no token, and ${key} admits nobody without one from there; send Authorization: Bearer, or see ${key}.anonymous`,
      },
    };
  };
}

/** The other side's IP address; IPv4 as such, also where a dual-stack socket shows it as IPv6. */
export function addressOf({
  socket,
}: {
  readonly socket: { readonly remoteAddress?: string | undefined };
}): string {
  return plainAddress(socket.remoteAddress ?? "");
}

/** With rules, they say which channels; what no rule speaks of, the gateway itself, is for tokens with `admin`. */
function unchecked(principal: Principal, accounts: Accounts | undefined): Caller {
  return { principal, scopes: accounts === undefined ? ALL_SCOPES : ["publish", "subscribe"] };
}

function byToken(accounts: Accounts | undefined, authorization: string, from: string): Caller | TurnedAway {
  // RFC 6750, section 2.1: the only place for a token; a URL ends up in logs.
  const token = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) {
    return { turned: 401, error: { code: "token-invalid", text: "expected Authorization: Bearer TOKEN" } };
  }
  const login = accounts?.token(token, from) ?? { is: "refused", reason: "credentials" };
  switch (login.is) {
    case "accepted":
      return {
        principal: login.principal,
        scopes: login.scopes,
        isCurrent: () => {
          if (!login.isValid()) return false;
          const now = accounts?.token(token, from);
          return now?.is !== "accepted" || now.scopes.join() === login.scopes.join();
        },
      };
    case "refused":
      return { turned: 401, error: { code: "token-invalid", text: "no such token in access.tokens" } };
    case "later":
      return {
        turned: 429,
        error: { code: "too-many-failures", text: "too many wrong tokens from there; wait" },
        afterMs: login.afterMs,
      };
  }
}

/** The common name of a client certificate that the listener's authorities vouch for. */
function certifiedName({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // A subject may repeat its fields; then no single name is meant.
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof name === "string" && name !== "" ? name : undefined;
}

type Admission = (request: IncomingMessage, address: string) => boolean;

function admission(anonymous: AnonymousRule, key: string): Admission {
  const isInside = anonymousCheck(anonymous, key);
  if (anonymous !== "loopback") return (_request, address) => isInside(address);
  // What a proxy on this machine passes on comes from elsewhere.
  return ({ headers }, address) => isInside(address) && !PROXIED.some((name) => name in headers);
}

const PROXIED = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
