import { randomBytes, scryptSync } from "node:crypto";
import { createFakeClock } from "@nomq/core/testing";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type AccessUser,
  createAccounts,
  hashPassword,
  isPasswordHash,
  passwordFault,
  verifyPassword,
} from "../../src/access/index.ts";

/** As `hashPassword` makes it, at a fraction of its cost. */
function cheapHash(password: string): string {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: 16, r: 8, p: 1 });
  return `scrypt$16$8$1$${salt.toString("base64url")}$${hash.toString("base64url")}`;
}

let ann: AccessUser;
beforeAll(() => {
  ann = { name: "ann", password: cheapHash("correct horse") };
});
const TOKEN = "0123456789abcdefghijkl";

describe("a password", () => {
  test("fits its own hash only, and no two hashes are alike", async () => {
    expect(await verifyPassword("correct horse", ann.password)).toBe(true);
    expect(await verifyPassword("correct horsf", ann.password)).toBe(false);
    const made = await hashPassword("correct horse");
    expect(await verifyPassword("correct horse", made)).toBe(true);
    expect(await hashPassword("correct horse")).not.toBe(made);
    expect(made).not.toContain("horse");
  });

  test("typed with composed or decomposed letters is the same", async () => {
    expect(await verifyPassword("Zu\u0308rich-see", await hashPassword("Z\u00fcrich-see"))).toBe(true);
  });

  test.each([
    ["plain text", "secret"],
    ["asks for too much memory", "scrypt$16777216$64$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    ["a cost that is no power of two", "scrypt$1000$8$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    ["cut", "scrypt$32768$8$1$AAAAAAAAAAAAAAAAAAAAAA$"],
  ])("whose hash is %s fits nothing", async (_what, hash) => {
    expect(isPasswordHash(hash)).toBe(false);
    expect(await verifyPassword("secret", hash)).toBe(false);
  });

  test.each([
    ["shortpw", /7 characters; use at least 8/],
    ["aaaaaaaabb", /repeats/],
    ["12345678", /row/],
    ["0987654321", /row/],
    ["qwertzui", /row/],
    ["annsgarden", /name/],
    ["Password", /common/],
    ["P@ssw0rd123!", /common/],
    ["Gateway2024", /common/],
    ["letmein2024!", /common/],
    ["x".repeat(257), /more than 256/],
  ])("%j is refused with the reason", (password, reason) => {
    expect(passwordFault(password, "ann")).toMatch(reason);
  });

  test("that nobody guesses is taken", () => {
    expect(passwordFault("correct horse", "ann")).toBeUndefined();
    expect(passwordFault("v8#kPq2!", "ann")).toBeUndefined();
  });
});

describe("a login", () => {
  test("with the right password is the user, with a wrong one or for nobody the same refusal", async () => {
    const accounts = createAccounts({ users: [ann], tokens: [], clock: createFakeClock() });
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({
      is: "accepted",
      principal: "user:ann",
    });
    expect(await accounts.password("ann", "wrong", "10.0.0.1")).toEqual({
      is: "refused",
      reason: "credentials",
    });
    expect(await accounts.password("bob", "wrong", "10.0.0.1")).toEqual({
      is: "refused",
      reason: "credentials",
    });
    expect(await accounts.password("__proto__", "wrong", "10.0.0.1")).toEqual({
      is: "refused",
      reason: "credentials",
    });
  });

  test("after six failures waits, longer each time, also with the right password; others do not wait", async () => {
    const clock = createFakeClock();
    const accounts = createAccounts({ users: [ann], tokens: [], clock });
    for (let each = 0; each < 6; each += 1) await accounts.password("ann", "wrong", "10.0.0.1");
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toEqual({
      is: "later",
      afterMs: 1_000,
    });
    expect(await accounts.password("ann", "correct horse", "10.0.0.2")).toMatchObject({ is: "accepted" });
    await clock.advance(1_000);
    await accounts.password("ann", "wrong", "10.0.0.1");
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toEqual({
      is: "later",
      afterMs: 2_000,
    });
    await clock.advance(2_000);
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({ is: "accepted" });
    expect(await accounts.password("ann", "wrong", "10.0.0.1")).toMatchObject({ is: "refused" });
  });

  test("one address that tries many names waits as well", async () => {
    const clock = createFakeClock();
    const accounts = createAccounts({ users: [], tokens: [], clock });
    for (let each = 0; each < 21; each += 1) accounts.token(`${TOKEN}${each}`, "10.0.0.1");
    expect(await accounts.password("someone", "wrong", "10.0.0.1")).toEqual({ is: "later", afterMs: 1_000 });
  });

  test("two are looked at at once, 128 more wait, and a further one is told to come later", async () => {
    const others = ["u0", "u1"].map((name) => ({ name, password: cheapHash("correct") }));
    const accounts = createAccounts({ users: others, tokens: [], clock: createFakeClock() });
    const all = await Promise.all(
      Array.from({ length: 131 }, (_, at) => accounts.password(`u${at % 2}`, "correct", `10.0.1.${at}`)),
    );
    // Those that wait for an account that has just been found right cost nothing.
    expect(all.filter(({ is }) => is === "accepted")).toHaveLength(130);
    expect(all.at(-1)).toEqual({ is: "later", afterMs: 1_000 });
  });

  test("of a user who has been there before is not kept out by others who fail at the same address", async () => {
    const clock = createFakeClock();
    const accounts = createAccounts({ users: [ann], tokens: [], clock });
    await accounts.password("ann", "correct horse", "10.0.0.1");
    for (let each = 0; each < 22; each += 1) accounts.token(`${TOKEN}${each}`, "10.0.0.1");
    expect(await accounts.password("bob", "x", "10.0.0.1")).toMatchObject({ is: "later" });
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({ is: "accepted" });
    for (let each = 0; each < 6; each += 1) await accounts.password("ann", "wrong", "10.0.0.1");
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({ is: "later" });
  });

  test("guesses that come together are not all looked at", async () => {
    const accounts = createAccounts({ users: [ann], tokens: [], clock: createFakeClock() });
    const guesses = Array.from({ length: 12 }, (_, at) =>
      accounts.password("ann", at === 11 ? "correct horse" : `guess ${at}`, "10.0.0.1"),
    );
    const said = (await Promise.all(guesses)).map(({ is }) => is);
    expect(said).not.toContain("accepted");
    expect(said.filter((is) => is === "refused")).toHaveLength(6);
  });

  test("that was right stays cheap, and only for that password", async () => {
    const accounts = createAccounts({ users: [ann], tokens: [], clock: createFakeClock() });
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({ is: "accepted" });
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({ is: "accepted" });
    expect(await accounts.password("ann", "correct horsf", "10.0.0.1")).toMatchObject({ is: "refused" });
    accounts.replace([{ name: "ann", password: cheapHash("another one") }], []);
    expect(await accounts.password("ann", "correct horse", "10.0.0.1")).toMatchObject({ is: "refused" });
  });

  test("is valid until the account is gone or its secret is another", async () => {
    const tokens = [{ name: "grafana", token: TOKEN }];
    const accounts = createAccounts({ users: [ann], tokens, clock: createFakeClock() });
    const logins = [
      await accounts.password("ann", "correct horse", "10.0.0.1"),
      accounts.token(TOKEN, "::1"),
    ];
    const valid = (): boolean[] => logins.map((login) => login.is === "accepted" && login.isValid());
    expect(valid()).toEqual([true, true]);
    accounts.replace([{ ...ann, password: cheapHash("correct horse") }], tokens);
    expect(valid()).toEqual([false, true]);
    accounts.replace([ann], [{ name: "grafana", token: `${TOKEN}x` }]);
    expect(valid()).toEqual([true, false]);
  });

  test("by token has the token's scopes", () => {
    const accounts = createAccounts({
      users: [],
      tokens: [{ name: "grafana", token: TOKEN, scopes: ["subscribe"] }],
      clock: createFakeClock(),
    });
    expect(accounts.token(TOKEN, "10.0.0.1")).toMatchObject({
      is: "accepted",
      principal: "token:grafana",
      scopes: ["subscribe"],
    });
    expect(accounts.token(`${TOKEN}x`, "10.0.0.1")).toEqual({ is: "refused", reason: "credentials" });
  });

  test("of somebody taken away is refused from then on", async () => {
    const accounts = createAccounts({ users: [ann], tokens: [], clock: createFakeClock() });
    const running = accounts.password("ann", "correct horse", "10.0.0.1");
    accounts.replace([], []);
    expect(await running).toMatchObject({ is: "refused" });
  });
});

describe("accounts", () => {
  test.each([
    [{ users: [{ name: "ann", password: "secret" }], tokens: [] }, /access\.users\[0\]\.password is no hash/],
    [{ users: [], tokens: [{ name: "x", token: "short" }] }, /access\.tokens\[0\]\.token has less than 20/],
    [
      {
        users: [],
        tokens: [
          { name: "x", token: TOKEN },
          { name: "y", token: TOKEN },
        ],
      },
      /access\.tokens\[1\]\.(name "same" is there twice|token is that of another token)/,
    ],
  ])("%# that are wrong are refused without showing a secret", (given, reason) => {
    expect(() => createAccounts(given)).toThrow(reason);
    try {
      createAccounts(given);
    } catch (error) {
      expect(String(error)).not.toMatch(/secret|short|0123456789/);
    }
  });
});
