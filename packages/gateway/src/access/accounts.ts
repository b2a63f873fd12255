import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { type Clock, NomqError, type Principal, systemClock } from "@nomq/core";
import { hashPassword, isPasswordHash, verifyPassword } from "./password.ts";
import { createThrottle, type Throttle, type ThrottleKey } from "./throttle.ts";
import { createTurnstile, type Turnstile } from "./turnstile.ts";
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
export type AccountLogin =
  | {
      readonly is: "accepted";
      readonly principal: Principal;
      readonly scopes: readonly Scope[];
      /** Whether it still holds: false once the account is gone or its secret is another. */
      isValid(): boolean;
    }
  | { readonly is: "refused"; readonly reason: "credentials" }
  | { /** Too many failures or logins under way. */ readonly is: "later"; readonly afterMs: number };

/** Who there is, and how they prove it. */
export interface Accounts {
  /** `from`: the client's IP address. */
  password(user: string, password: string, from: string): Promise<AccountLogin>;
  token(token: string, from: string): AccountLogin;
  /** Whether there is such a user or token. */
  has(kind: "user" | "token", name: string): boolean;
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
/** The principal of the control socket, which no token may be. */
const RESERVED_TOKEN = "control";
/** Each check takes 32 MiB and one of the four threads that files are written with, too. */
const CHECKS_AT_ONCE = 2;
const CHECKS_WAITING = 128;
const BUSY_MS = 1_000;
const MOST_HOMES = 10_000;

interface Known {
  readonly users: ReadonlyMap<string, string>;
  /** By the SHA-256 of the token: looking one up tells nothing of its bytes. */
  readonly tokens: ReadonlyMap<string, AccessToken & { readonly digest: Buffer }>;
}

/** Makes the accounts; throws `config-invalid` for a password that is no hash, a short token, a name used twice. */
export function createAccounts(options: AccountsOptions): Accounts {
  return new Book(options);
}

class Book implements Accounts {
  #known: Known;
  readonly #throttle: Throttle;
  readonly #turnstile: Turnstile = createTurnstile({ atOnce: CHECKS_AT_ONCE, waiting: CHECKS_WAITING });
  /** An unknown user costs as much time as a known one. */
  #nobody: Promise<string> | undefined;
  /**
   * What fitted which hash: a thousand devices that come back together cost a thousand scrypts only the first time.
   * Under a key that ends with the process, so that nothing of use is left in memory.
   */
  readonly #fitted = new Map<string, Buffer>();
  readonly #key = randomBytes(32);
  /** Users with the addresses from which they have logged in. */
  readonly #homes = new Set<string>();

  constructor(options: AccountsOptions) {
    this.#known = knownOf(options.users, options.tokens);
    this.#throttle = createThrottle({ clock: options.clock ?? systemClock });
  }

  async password(user: string, password: string, from: string): Promise<AccountLogin> {
    const keys = loginKeys(beginningOf(user), from);
    const afterMs = this.#waitOf(keys);
    if (afterMs > 0) return { is: "later", afterMs };
    if (password.length > 4 * MOST_PASSWORD_LENGTH) return this.#refused(keys);
    const hashed = this.#known.users.get(user);
    const isRight = this.#hasFitted(hashed, password) || (await this.#check(hashed, password));
    if (isRight === "busy") return { is: "later", afterMs: BUSY_MS };
    // Guesses that came together must not all be looked at.
    const stillAfterMs = this.#waitOf(keys);
    if (stillAfterMs > 0) return { is: "later", afterMs: stillAfterMs };
    // The user may have been taken away meanwhile.
    const isValid = (): boolean => hashed !== undefined && this.#known.users.get(user) === hashed;
    if (!isRight || !isValid()) return this.#refused(keys);
    this.#succeeded(keys);
    return { is: "accepted", principal: `user:${user}`, scopes: ["publish", "subscribe"], isValid };
  }

  token(token: string, from: string): AccountLogin {
    const keys = [addressKey(from)];
    const afterMs = this.#throttle.wait(keys);
    if (afterMs > 0) return { is: "later", afterMs };
    const digest = digestOf(token);
    const id = digest.toString("hex");
    const found = this.#known.tokens.get(id);
    if (found === undefined || !timingSafeEqual(found.digest, digest)) return this.#refused(keys);
    const { name, scopes = [] } = found;
    const isValid = (): boolean => this.#known.tokens.get(id)?.name === name;
    return { is: "accepted", principal: `token:${name}`, scopes, isValid };
  }

  has(kind: "user" | "token", name: string): boolean {
    const { users, tokens } = this.#known;
    return kind === "user" ? users.has(name) : [...tokens.values()].some((token) => token.name === name);
  }

  replace(users: readonly AccessUser[], tokens: readonly AccessToken[]): void {
    this.#known = knownOf(users, tokens);
    this.#fitted.clear();
    this.#homes.clear();
  }

  /** One device with a wrong password must not lock out the others behind its router: they have been there before. */
  #waitOf(keys: readonly ThrottleKey[]): number {
    const [own] = keys;
    const isHome = own !== undefined && this.#homes.has(own.name);
    return this.#throttle.wait(isHome ? keys.slice(0, 2) : keys);
  }

  #succeeded([own]: readonly ThrottleKey[]): void {
    if (own === undefined) return;
    this.#throttle.succeeded([own]);
    if (this.#homes.size >= MOST_HOMES) this.#homes.clear();
    this.#homes.add(own.name);
  }

  #refused(keys: readonly ThrottleKey[]): AccountLogin {
    this.#throttle.failed(keys);
    return { is: "refused", reason: "credentials" };
  }

  #hasFitted(hashed: string | undefined, password: string): boolean {
    const before = this.#fitted.get(hashed ?? "");
    return before !== undefined && timingSafeEqual(before, this.#seal(password));
  }

  #seal(password: string): Buffer {
    return createHmac("sha256", this.#key).update(password, "utf8").digest();
  }

  async #check(hashed: string | undefined, password: string): Promise<boolean | "busy"> {
    const turn = this.#turnstile.enter();
    if (turn === undefined) return "busy";
    const leave = await turn;
    try {
      // Others of the same account may have come through meanwhile.
      if (this.#hasFitted(hashed, password)) return true;
      this.#nobody ??= hashPassword("nobody");
      const isRight = await verifyPassword(password, hashed ?? (await this.#nobody));
      if (isRight && hashed !== undefined) this.#fitted.set(hashed, this.#seal(password));
      return isRight;
    } finally {
      leave();
    }
  }
}

/** Copied: V8 keeps the whole of a name in memory for as long as a piece of it is held. */
const beginningOf = (user: string): string =>
  Buffer.from(user.slice(0, MOST_PASSWORD_LENGTH), "utf16le").toString("utf16le");

const addressKey = (from: string): ThrottleKey => ({ name: `addr:${from}`, free: 20 });

/** Whoever fails from elsewhere must not keep a user out: only very many failures from everywhere do. */
const loginKeys = (user: string, from: string): ThrottleKey[] => [
  { name: `user:${user} addr:${from}`, free: 5 },
  { name: `user:${user}`, free: 100 },
  addressKey(from),
];

/** One thing wrong with the accounts of a configuration. */
export interface AccountFault {
  readonly path: readonly (string | number)[];
  readonly reason: string;
}

/** All that is wrong with users and tokens, by their places in the file; no reason holds a secret. */
export function accountFaults(
  users: readonly AccessUser[],
  tokens: readonly AccessToken[],
): readonly AccountFault[] {
  return [
    ...users.flatMap(({ name, password }, at) =>
      faultsAt(
        ["access", "users", at],
        [
          ["name", nameFault(name) ?? twice(users, name, at)],
          ["password", isPasswordHash(password) ? undefined : "is no hash; `nomq passwd` makes one"],
        ],
      ),
    ),
    ...tokens.flatMap(({ name, token }, at) => {
      const isSame = tokens.findIndex((other) => other.token === token) !== at;
      const short = token.length < LEAST_TOKEN;
      return faultsAt(
        ["access", "tokens", at],
        [
          ["name", nameFault(name) ?? twice(tokens, name, at) ?? reserved(name)],
          [
            "token",
            short
              ? `has less than ${LEAST_TOKEN} characters; \`nomq token new\` makes one`
              : isSame
                ? "is that of another token"
                : undefined,
          ],
        ],
      );
    }),
  ];
}

function faultsAt(
  path: readonly (string | number)[],
  found: readonly (readonly [key: string, reason: string | undefined])[],
): AccountFault[] {
  return found.flatMap(([key, reason]) => (reason === undefined ? [] : [{ path: [...path, key], reason }]));
}

const twice = (all: readonly { name: string }[], name: string, at: number): string | undefined =>
  all.findIndex((other) => other.name === name) === at ? undefined : `"${name}" is there twice`;
/** What is wrong with the name of a user or a token; undefined: nothing. */
export const nameFault = (name: string): string | undefined =>
  name === "" || name.length > MOST_PASSWORD_LENGTH ? "is empty or longer than 256 characters" : undefined;
const reserved = (name: string): string | undefined =>
  name === RESERVED_TOKEN ? `"${name}" is the name of the control socket's owner` : undefined;

function knownOf(users: readonly AccessUser[], tokens: readonly AccessToken[]): Known {
  const [fault] = accountFaults(users, tokens);
  if (fault !== undefined) {
    const [section, list, at, key] = fault.path;
    throw new NomqError("config-invalid", `${section}.${list}[${at}].${key} ${fault.reason}`);
  }
  const byDigest = new Map<string, AccessToken & { digest: Buffer }>();
  for (const token of tokens) {
    const digest = digestOf(token.token);
    byDigest.set(digest.toString("hex"), { ...token, digest });
  }
  return { users: new Map(users.map(({ name, password }) => [name, password])), tokens: byDigest };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token, "utf8").digest();
}
