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

let ann: AccessUser;
beforeAll(async () => {
  ann = { name: "ann", password: await hashPassword("correct horse") };
});
const TOKEN = "0123456789abcdefghijkl";

describe("a password", () => {
  test("fits its own hash only, and no two hashes are alike", async () => {
    expect(await verifyPassword("correct horse", ann.password)).toBe(true);
    expect(await verifyPassword("correct horsf", ann.password)).toBe(false);
    expect(await hashPassword("correct horse")).not.toBe(ann.password);
    expect(ann.password).not.toContain("horse");
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

  test("no more than sixteen at once are looked at", async () => {
    const accounts = createAccounts({ users: [ann], tokens: [], clock: createFakeClock() });
    const all = await Promise.all(
      Array.from({ length: 17 }, (_, at) => accounts.password("ann", "correct horse", `10.0.1.${at}`)),
    );
    expect(all.filter(({ is }) => is === "accepted")).toHaveLength(16);
    expect(all.filter(({ is }) => is === "later")).toHaveLength(1);
  });

  test("by token has the token's scopes", () => {
    const accounts = createAccounts({
      users: [],
      tokens: [{ name: "grafana", token: TOKEN, scopes: ["subscribe"] }],
      clock: createFakeClock(),
    });
    expect(accounts.token(TOKEN, "10.0.0.1")).toEqual({
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
      /access\.tokens\[1\]: the name or the token is there twice/,
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
