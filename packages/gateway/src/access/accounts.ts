import { createHash, timingSafeEqual } from "node:crypto";
import { type Clock, NomqError, type Principal, systemClock } from "@nomq/core";
import { hashPassword, isPasswordHash, verifyPassword } from "./password.ts";
import { createThrottle, type ThrottleKey } from "./throttle.ts";
import { MOST_PASSWORD_LENGTH } from "./weak-password.ts";

/** One of `access.users`. */
export interface AccessUser {
  readonly name: string;
  /** `scrypt$…`, as `nomq passwd` prints it. */
  readonly password: string;
}

/** What a token is good for. */
export type Scope = "publish" | "subscribe" | "admin";

/** One of `access.tokens`. */
export interface AccessToken {
  readonly name: string;
  /** At least 20 characters, drawn at random. */
  readonly token: string;
  /** Default none. */
  readonly scopes?: readonly Scope[];
}

/** What became of a login. */
export type Login =
  | { readonly is: "accepted"; readonly principal: Principal; readonly scopes: readonly Scope[] }
  | { readonly is: "refused"; readonly reason: "credentials" }
  | { /** Too many failures or logins under way. */ readonly is: "later"; readonly afterMs: number };

/** Who there is, and how they prove it. */
export interface Accounts {
  /** `from`: the client's IP address. */
  password(user: string, password: string, from: string): Promise<Login>;
  token(token: string, from: string): Login;
  /** Takes other users and tokens, all of them; throws `config-invalid` and keeps the old ones when one is wrong. */
  replace(users: readonly AccessUser[], tokens: readonly AccessToken[]): void;
}

/** Options of {@link createAccounts}. */
export interface AccountsOptions {
  readonly users: readonly AccessUser[];
  readonly tokens: readonly AccessToken[];
  /** Default the machine's. */
  readonly clock?: Clock;
}

const LEAST_TOKEN = 20;
/** Each check takes 32 MiB and a thread of the pool. */
const MOST_CHECKS = 16;
const BUSY_MS = 1_000;

interface Known {
  readonly users: ReadonlyMap<string, string>;
  /** By the SHA-256 of the token: looking one up tells nothing of its bytes. */
  readonly tokens: ReadonlyMap<string, AccessToken & { readonly digest: Buffer }>;
}

/** Makes the accounts; throws `config-invalid` for a password that is no hash, a short token, a name used twice. */
export function createAccounts(options: AccountsOptions): Accounts {
  let known = knownOf(options.users, options.tokens);
  const throttle = createThrottle({ clock: options.clock ?? systemClock });
  let checks = 0;
  // An unknown user costs as much time as a known one.
  let nobody: Promise<string> | undefined;
  const fits = async (user: string, password: string): Promise<boolean> => {
    const hashed = known.users.get(user);
    nobody ??= hashPassword("nobody");
    const isRight = await verifyPassword(password, hashed ?? (await nobody));
    // The user may have been taken away meanwhile.
    return isRight && hashed !== undefined && known.users.get(user) === hashed;
  };
  const refused = (keys: readonly ThrottleKey[]): Login => {
    throttle.failed(keys);
    return { is: "refused", reason: "credentials" };
  };

  return {
    async password(user, password, from) {
      const keys = loginKeys(user.slice(0, MOST_PASSWORD_LENGTH), from);
      const afterMs = throttle.wait(keys);
      if (afterMs > 0) return { is: "later", afterMs };
      if (checks >= MOST_CHECKS) return { is: "later", afterMs: BUSY_MS };
      if (password.length > 4 * MOST_PASSWORD_LENGTH) return refused(keys);
      checks += 1;
      try {
        if (!(await fits(user, password))) return refused(keys);
        throttle.succeeded(keys.slice(0, 1));
        return { is: "accepted", principal: `user:${user}`, scopes: ["publish", "subscribe"] };
      } finally {
        checks -= 1;
      }
    },
    token(token, from) {
      const keys = [addressKey(from)];
      const afterMs = throttle.wait(keys);
      if (afterMs > 0) return { is: "later", afterMs };
      const digest = digestOf(token);
      const found = known.tokens.get(digest.toString("hex"));
      if (found === undefined || !timingSafeEqual(found.digest, digest)) return refused(keys);
      return { is: "accepted", principal: `token:${found.name}`, scopes: found.scopes ?? [] };
    },
    replace(users, tokens) {
      known = knownOf(users, tokens);
    },
  };
}

const addressKey = (from: string): ThrottleKey => ({ name: `addr:${from}`, free: 20 });

/** Whoever fails from elsewhere must not keep a user out: only very many failures from everywhere do. */
const loginKeys = (user: string, from: string): ThrottleKey[] => [
  { name: `user:${user} addr:${from}`, free: 5 },
  { name: `user:${user}`, free: 100 },
  addressKey(from),
];

function knownOf(users: readonly AccessUser[], tokens: readonly AccessToken[]): Known {
  const hashes = new Map<string, string>();
  for (const [at, { name, password }] of users.entries()) {
    const path = `access.users[${at}]`;
    if (hashes.has(name)) throw new NomqError("config-invalid", `${path}: "${name}" is there twice`);
    if (!isPasswordHash(password)) {
      throw new NomqError("config-invalid", `${path}.password is no hash; \`nomq passwd\` makes one`);
    }
    hashes.set(name, password);
  }
  const byDigest = new Map<string, AccessToken & { digest: Buffer }>();
  for (const [at, token] of tokens.entries()) {
    const path = `access.tokens[${at}]`;
    if (token.token.length < LEAST_TOKEN) {
      throw new NomqError("config-invalid", `${path}.token has less than ${LEAST_TOKEN} characters`);
    }
    const digest = digestOf(token.token);
    if (byDigest.has(digest.toString("hex")) || tokens.findIndex(({ name }) => name === token.name) !== at) {
      throw new NomqError("config-invalid", `${path}: the name or the token is there twice`);
    }
    byDigest.set(digest.toString("hex"), { ...token, digest });
  }
  return { users: hashes, tokens: byDigest };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token, "utf8").digest();
}
