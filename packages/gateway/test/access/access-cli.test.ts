import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { describe, expect, test } from "vitest";
import { verifyPassword } from "../../src/access/index.ts";
import { nomq, testFolder } from "../launch.ts";

const BASE =
  "data: ./data\nnomq: { listen: [] }\nmqtt: { listen: ['mqtt://127.0.0.1:0'] }\ncoap: { listen: [] }\nhttp: { listen: [] }\nlog: { format: json }\n";
/** Of the password "correct horse". */
const ANN = "scrypt$32768$8$1$GkpVE5lvRJqZCzjEezTWxQ$o3BZlWVXf8c9rZO3CETHH-uD1Kz8m90qRVVDEBLur_s";

const accessOf = (rules: string, users = `- { name: ann, password: "${ANN}" }`): string =>
  `access:\n  users:\n    ${users}\n  rules:\n    ${rules}\n`;

describe("nomq passwd", () => {
  test("prints the line for the password on standard input, and nothing of the password", async () => {
    const { code, stdout, stderr } = await nomq(["passwd", "--user", "ann"], { input: "correct horse\n" })
      .ended;
    expect(code).toBe(0);
    const [, hash = ""] = /^- \{ name: "ann", password: "(.*)" \}\n$/.exec(stdout) ?? [];
    expect(await verifyPassword("correct horse", hash)).toBe(true);
    expect(stdout + stderr).not.toContain("horse");
  });

  test("that is easily guessed is not taken: exit code 1", async () => {
    const { code, stdout, stderr } = await nomq(["passwd", "--user", "ann"], { input: "Password1!" }).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("is on every list of common passwords");
  });
});

describe("nomq token new", () => {
  test("with --out prints the line for the file, and the token lies in a file for its owner alone", async () => {
    using folder = testFolder();
    const out = join(folder.path, "t");
    const args = ["token", "new", "deploy", "--scope", "publish", "admin", "--out", out];
    const filed = await nomq(args).ended;
    expect(filed.stdout).toBe(`- { name: "deploy", token: { file: "${out}" }, scopes: [publish, admin] }\n`);
    expect(readFileSync(out, "utf8")).toMatch(/^[\w-]{32}\n$/);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect((await nomq(args).ended).code).toBe(1);
  });
});

test("nomq access explain answers from the file, in words and as data", async () => {
  using folder = testFolder();
  const rules = '- { who: "user:ann", publish: ["cmd/#"] }';
  const config = folder.file("gateway.yaml", `${BASE}${accessOf(rules)}`);
  const ask = (channel: string, ...more: string[]): ReturnType<typeof nomq>["ended"] =>
    nomq(["access", "explain", "user:ann", "publish", channel, "--config", config, ...more]).ended;
  const allowed = await ask("cmd/valve");
  expect(allowed.stdout).toBe(
    'allowed: user:ann may publish to cmd/valve, by access.rules[0], publish: "cmd/#"\n',
  );
  const denied = await ask("a", "--json");
  expect(denied.code).toBe(0);
  expect(JSON.parse(denied.stdout)).toMatchObject({
    ...{ who: "user:ann", action: "publish", channel: "a", allowed: false, extent: "none" },
    admit: '- { who: "user:ann", publish: ["a"] }',
  });
});

test("nomq access explain takes an XMPP account however it is written, and says who is asked about readers", async () => {
  using folder = testFolder();
  const rules = '- { who: "jid:ann@Example.org", publish: ["home/#"] }';
  const config = folder.file("gateway.yaml", `${BASE}${accessOf(rules)}`);
  const ask = (who: string, action: string): ReturnType<typeof nomq>["ended"] =>
    nomq(["access", "explain", who, action, "home/x", "--config", config]).ended;
  expect((await ask("jid:ANN@example.org", "publish")).stdout).toBe(
    'allowed: jid:ann@example.org may publish to home/x, by access.rules[0], publish: "home/#"\n',
  );
  expect((await ask("jid:ann@example.org", "subscribe")).stdout).toMatch(
    /^denied: no rule .*\n- .*\nwho reads the nodes of xmpp.publish is not asked of the rules: the XMPP server decides, by xmpp.access\n$/,
  );
  const { code, stderr } = await ask("jid:ann@example.org/phone", "publish");
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("names a resource") });
});

describe("a running gateway", () => {
  test("takes other rules on SIGHUP and by nomq access reload; refuses wrong ones and keeps the old", async () => {
    using folder = testFolder();
    const reads = '- { who: "user:ann", subscribe: ["a/#"] }';
    const config = folder.file("gateway.yaml", `${BASE}${accessOf(reads)}`);
    await using gateway = nomq(["gateway", "--config", config]);
    await gateway.said('"event":"ready"');
    const { listen } = JSON.parse(gateway.stdout().split("\n")[0] ?? "");
    const at = { reconnectPeriod: 0, protocolVersion: 5 as const };
    await expect(
      connectAsync(listen.mqtt[0], { ...at, username: "ann", password: "wrong" }),
    ).rejects.toThrow();
    const ann = await connectAsync(listen.mqtt[0], { ...at, username: "ann", password: "correct horse" });
    await ann.subscribeAsync("a/b");
    await expect(ann.publishAsync("a/b", "x", { qos: 1 })).rejects.toThrow(/authorized/i);
    await gateway.said('admit":"- { who: \\"user:ann\\", publish: [\\"a/b\\"] }"', "stderr");

    // Wrong: the old rules stay.
    writeFileSync(config, `${BASE}${accessOf("- { who: ann, publish: ['#'] }")}`);
    const refused = await nomq([
      "access",
      "reload",
      "--config",
      config,
      "--socket",
      join(folder.path, "data/control.sock"),
    ]).ended;
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('access.rules[0].who: "ann" names nobody');
    // Cut off: nothing is opened.
    writeFileSync(config, BASE);
    gateway.signal("SIGHUP");
    await gateway.said("the file has no access section", "stderr");
    await expect(ann.publishAsync("a/b", "x", { qos: 1 })).rejects.toThrow(/authorized/i);

    writeFileSync(
      config,
      `${BASE}${accessOf('- { who: "user:ann", publish: ["a/b"], subscribe: ["a/#"] }')}`,
    );
    gateway.signal("SIGHUP");
    await gateway.said("the access section was read again", "stderr");
    await ann.publishAsync("a/b", "x", { qos: 1 });
    const asked = [
      "access",
      "explain",
      "user:ann",
      "publish",
      "a/b",
      "--socket",
      join(folder.path, "data/control.sock"),
    ];
    expect((await nomq(asked).ended).stdout).toContain("by access.rules[0]");

    // The user is taken away: its connection ends.
    const gone = new Promise<number | undefined>((resolve) => {
      ann.once("disconnect", ({ reasonCode }) => resolve(reasonCode));
    });
    writeFileSync(config, `${BASE}access: { rules: [{ who: "*", subscribe: ["#"] }] }\n`);
    gateway.signal("SIGHUP");
    expect(await gone).toBe(0x87);
    gateway.signal("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
    const audit = readFileSync(join(folder.path, "data/session-log.jsonl"), "utf8");
    for (const what of ["login.refused", "publish.refused", "access.changed", "access.refused"]) {
      expect(audit).toContain(`"what":"${what}"`);
    }
    expect(audit + gateway.stderr()).not.toMatch(/correct horse|wrong|scrypt/);
  });
});
