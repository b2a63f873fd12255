import { describe, expect, test } from "vitest";
import { inspectConfig, parseConfig } from "../../src/config/load.ts";

const HASH = `scrypt$16$8$1$${"A".repeat(22)}$${"A".repeat(43)}`;
const TOKEN = "0123456789abcdefghijkl";

const parse = (text: string): ReturnType<typeof parseConfig> =>
  parseConfig({ name: "gateway.yaml", text, folder: "/", env: { HASH, TOKEN } });

describe("the access section", () => {
  test("is absent by default: nothing is denied", () => expect(parse("").access).toBeUndefined());

  test.each(["access:", "access: {}", "access:\n  # rules: all commented out\n"])(
    "%j denies everything",
    (text) => expect(parse(text).access).toEqual({ users: [], tokens: [], rules: [] }),
  );

  test("takes secrets from the environment", () => {
    const users = "users: [{ name: ann, password: { env: HASH } }]";
    const tokens = "tokens: [{ name: x, token: { env: TOKEN }, scopes: [publish] }]";
    expect(parse(`access: { ${users}, ${tokens} }`).access).toEqual({
      users: [{ name: "ann", password: HASH }],
      tokens: [{ name: "x", token: TOKEN, scopes: ["publish"] }],
      rules: [],
    });
  });

  test.each([
    ["users: [{ name: ann, password: secret }]", "1:32: access.users[0].password: is no hash; `nomq passwd`"],
    ["users: [{ name: ann, password: { env: NO } }]", "access.users[0].password: environment variable NO"],
    [
      "users: [{ name: a, password: { env: HASH } }, { name: a, password: { env: HASH } }]",
      '[1].name: "a" is there',
    ],
    [
      "tokens: [{ name: x, token: short }]",
      "access.tokens[0].token: has less than 20 characters; `nomq token new`",
    ],
    [
      "tokens: [{ name: control, token: { env: TOKEN } }]",
      'name: "control" is the name of the control socket',
    ],
    ["tokens: [{ name: x, token: { env: TOKEN }, scopes: [admn] }]", "did you mean admin?"],
    ["rules: [{ who: ann, publish: [a] }]", 'access.rules[0].who: "ann" names nobody; write user:NAME'],
    ["rules: [{ who: 'addr:10.0.0.0/99', publish: [a] }]", "is no network; write addr:192.168.0.0/16"],
    [
      "rules: [{ who: 'jid:ann@a.example/phone', publish: [a] }]",
      "names a resource, and rules are about accounts; write jid:NAME@DOMAIN",
    ],
    ["rules: [{ who: 'jid:an\u200bn@a.example', publish: [a] }]", "names no account; write jid:NAME@DOMAIN"],
    ["rules: [{ who: 'jid:ann@', publish: [a] }]", "names no account; write jid:NAME@DOMAIN"],
    ["rules: [{ who: '*' }]", "access.rules[0]: allows nothing: give publish or subscribe"],
    ["rules: [{ who: '*', publish: [a/#/b] }]", "access.rules[0].publish[0]: expected a filter"],
    [
      "rules: [{ who: '*', pubish: [a] }]",
      "access.rules[0].pubish: is not a known key; did you mean publish?",
    ],
  ])("%s is refused with its place, and no secret is shown", (part, fault) => {
    const text = `access: { ${part} }`;
    const result = inspectConfig({ name: "gateway.yaml", text, folder: "/", env: { HASH, TOKEN } });
    const said = result.ok ? "" : result.error.message;
    expect(said).toContain(fault);
    expect(said).not.toMatch(/secret|short|scrypt\$/);
  });
});
