import { NomqError, type SessionEntry, silentLog } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { adviseOnRefusals } from "../../src/access/advice.ts";
import { type AccessQuestion, answerOf, questionFault } from "../../src/access/answer.ts";
import { type AccessSettings, createAccessControl } from "../../src/access/index.ts";
import { reloadAccess } from "../../src/access/reload.ts";

const settingsOf = (...rules: AccessSettings["rules"]): AccessSettings => ({ users: [], tokens: [], rules });
const ANN = settingsOf({ who: "user:ann", publish: ["cmd/#"], subscribe: ["a/+"] });
const TOKEN = { name: "x", token: "0123456789abcdefghijkl" };

const asked = (who: string, action: "publish" | "subscribe", channel: string): AccessQuestion => ({
  ...{ who, action, channel },
});

describe("without an access section", () => {
  test("everything is allowed and nobody has an account", () => {
    const control = createAccessControl(undefined);
    expect(control.may("addr:127.0.0.1", "publish", "a")).toBe(true);
    expect(control.authenticate("ann", "x", "::1")).toBeUndefined();
    expect(answerOf(control, asked("user:ann", "publish", "a")).text).toContain("there is no access section");
  });

  test("one that comes counts at once, and is told", () => {
    const control = createAccessControl(undefined);
    let changes = 0;
    control.onChange?.(() => {
      changes += 1;
    });
    control.replace(ANN);
    expect([changes, control.isOn(), control.may("addr:127.0.0.1", "publish", "a")]).toEqual([
      1,
      true,
      false,
    ]);
  });
});

describe("the owner of the control socket", () => {
  test("may do everything, and no token can have its name", () => {
    const control = createAccessControl(settingsOf());
    expect(control.may("token:control", "publish", "a")).toBe(true);
    expect(control.extent?.("token:control", "subscribe", "#")).toBe("all");
    const tokens = [{ ...TOKEN, name: "control" }];
    expect(() => createAccessControl({ ...ANN, tokens })).toThrow(
      /"control" is the name of the control socket/,
    );
  });
});

describe("an explanation", () => {
  test.each([
    [asked("user:ann", "publish", "cmd/valve"), 'by access.rules[0], publish: "cmd/#"'],
    [
      asked("user:ann", "subscribe", "#"),
      "user:ann may subscribe to # in part: every message is asked for again",
    ],
    [
      asked("user:ann", "publish", "x"),
      'denied: no rule lets user:ann publish to x; it may publish to "cmd/#"',
    ],
    [asked("anonymous", "subscribe", "x"), '- { who: "anonymous", subscribe: ["x"] }'],
    [asked("token:control", "publish", "x"), "allowed: the control socket"],
    [asked("user:zed", "publish", "x"), "nobody can be user:zed: there is no such name under access: users:"],
  ])("%j", (question, says) => {
    expect(answerOf(createAccessControl(ANN), question).text).toContain(says);
  });

  test("of a denial names a line that is a rule, and that allows it", () => {
    const { admit = "" } = answerOf(createAccessControl(ANN), asked("user:ann", "publish", 'x"y'));
    expect(admit).toBe('- { who: "user:ann", publish: ["x\\"y"] }');
  });

  test.each([
    [asked("ann", "publish", "a"), "names nobody"],
    [asked("*", "publish", "a"), "ask for one of them"],
    [asked("user:ann", "publish", "a/#"), "is no channel"],
    [asked("user:ann", "subscribe", "a/#/b"), "is no channel and no filter"],
  ])("%j is no question", (question, fault) => {
    expect(questionFault(question)).toContain(fault);
  });
});

describe("a reload", () => {
  const reload = (
    before: AccessSettings | undefined,
    source: (() => AccessSettings | undefined) | undefined,
  ): { result: object; recorded: SessionEntry[]; may: boolean } => {
    const recorded: SessionEntry[] = [];
    const control = createAccessControl(before);
    const sessionLog = { record: (entry: SessionEntry): void => void recorded.push(entry) };
    const result = reloadAccess({ control, source, log: silentLog, sessionLog }, "SIGHUP");
    return { result, recorded, may: control.may("user:ann", "publish", "cmd/x") };
  };

  test("says what has changed, by names", () => {
    const after = { ...settingsOf({ who: "*", subscribe: ["#"] }), tokens: [TOKEN] };
    const { result, recorded, may } = reload(ANN, () => after);
    expect(result).toMatchObject({
      is: "changed",
      change: {
        tokensAdded: ["x"],
        rulesAdded: ["* subscribe #"],
        rulesRemoved: ["user:ann publish cmd/# subscribe a/+"],
      },
    });
    expect(recorded).toEqual([
      {
        who: "SIGHUP",
        what: "access.changed",
        details: {
          tokensAdded: "x",
          rulesAdded: "* subscribe #",
          rulesRemoved: "user:ann publish cmd/# subscribe a/+",
        },
      },
    ]);
    expect(may).toBe(false);
  });

  test("of the same section changes nothing", () => {
    expect(reload(ANN, () => ANN)).toMatchObject({ result: { is: "unchanged" }, recorded: [], may: true });
  });

  test.each([
    ["no file", undefined, "no-file"],
    ["a file that has lost its section", () => undefined, "access-missing"],
    ["a wrong rule", () => settingsOf({ who: "ann", publish: ["#"] }), "config-invalid"],
    ["a wrong token", () => ({ ...settingsOf(), tokens: [{ name: "x", token: "short" }] }), "config-invalid"],
    [
      "a file that cannot be read",
      () => {
        throw new NomqError("config-invalid", "gateway.yaml: cannot be read (ENOENT)");
      },
      "config-invalid",
    ],
  ])("with %s keeps what is in force, and says so", (_what, source, code) => {
    const { result, recorded, may } = reload(ANN, source);
    expect(result).toMatchObject({ is: "refused", code });
    expect(recorded).toEqual([{ who: "SIGHUP", what: "access.refused", details: { reason: code } }]);
    expect(may).toBe(true);
  });
});

test("a refusal by the rules is said once, with the line that would allow it, until they change", () => {
  const control = createAccessControl(settingsOf());
  const said: unknown[] = [];
  const log = { ...silentLog, warn: (_text: string, fields?: object) => void said.push(fields) };
  const recorded: SessionEntry[] = [];
  const sessionLog = adviseOnRefusals({
    log,
    control,
    sessionLog: { record: (one) => void recorded.push(one) },
  });
  const entry = { who: "user:ann", what: "publish.refused", details: { reason: "access", channel: "a" } };
  sessionLog.record(entry);
  sessionLog.record(entry);
  sessionLog.record({ ...entry, details: { reason: "store-busy", channel: "a" } });
  expect(recorded).toHaveLength(3);
  const line = {
    who: "user:ann",
    action: "publish",
    channel: "a",
    admit: '- { who: "user:ann", publish: ["a"] }',
  };
  expect(said).toEqual([line]);
  control.replace(ANN);
  sessionLog.record(entry);
  expect(said).toEqual([line, line]);
});
