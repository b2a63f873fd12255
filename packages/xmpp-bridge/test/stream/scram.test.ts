import { describe, expect, test } from "vitest";
import { createScram } from "../../src/stream/scram.ts";

const user = { username: "user", password: "pencil" };

describe("SCRAM", () => {
  test("RFC 5802 section 5: SHA-1", async () => {
    const scram = createScram("sha1", user, "fyko+d2lbbFgONRv9qkxdawL");
    expect(scram.first).toBe("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    const challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    expect(await scram.answer(challenge)).toBe(
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    );
    expect(() => scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")).not.toThrow();
  });

  test("RFC 7677 section 3: SHA-256", async () => {
    const scram = createScram("sha256", user, "rOprNGfwEbeRWgbNEkqO");
    const challenge =
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    expect(await scram.answer(challenge)).toBe(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    expect(() => scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")).not.toThrow();
  });

  test.each(["", "v=", "v=AAAA", "e=other-error", "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="])(
    "a server that signs %j does not know the password",
    async (final) => {
      const scram = createScram("sha256", user, "rOprNGfwEbeRWgbNEkqO");
      await scram.answer("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
      expect(() => scram.verify(final)).toThrow(/signature/);
    },
  );

  test("a signature that comes before our proof is none", () => {
    expect(() => createScram("sha1", user, "a").verify("v=")).toThrow(/signature/);
  });

  test.each([
    ["no nonce of ours", "r=other,s=QSXCR+Q6sek8bf92,i=4096"],
    ["our nonce and nothing of the server's", "r=abc,s=QSXCR+Q6sek8bf92,i=4096"],
    ["too few iterations", "r=abcd,s=QSXCR+Q6sek8bf92,i=1"],
    ["so many that they would hold us up", "r=abcd,s=QSXCR+Q6sek8bf92,i=100000000"],
    ["a number that is none", "r=abcd,s=QSXCR+Q6sek8bf92,i=4096e3"],
    ["an extension we must understand", "m=x,r=abcd,s=QSXCR+Q6sek8bf92,i=4096"],
    ["nothing", ""],
    ["endless text", `r=abc${"d".repeat(10_000)},s=QSXCR+Q6sek8bf92,i=4096`],
  ])("a challenge with %s is refused", async (_what, challenge) => {
    await expect(createScram("sha1", user, "abc").answer(challenge)).rejects.toThrow(/challenge/);
  });

  test("RFC 5802 section 5.1: commas and equals signs of a name are escaped", () => {
    expect(createScram("sha1", { username: "a,b=c", password: "" }, "x").first).toBe("n,,n=a=2Cb=3Dc,r=x");
  });
});
