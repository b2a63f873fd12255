import { describe, expect, test } from "vitest";
import { EXAMPLES } from "../src/cli/examples.ts";
import { nomq } from "./launch.ts";

const explain = (...args: string[]) => nomq(["explain", ...args]).ended;

describe("nomq explain", () => {
  const shown = [...EXAMPLES.explain.matchAll(/\$ nomq explain (.*)/g)].map(([, args = ""]) =>
    args.split(" "),
  );

  test.each(shown)("the example of its help works: %s %s %s", async (...args) => {
    const { code, stdout, stderr } = await explain(...args.filter((one) => one !== undefined));
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).not.toBe("");
  });

  test("says the verdict of the way, and each side's how", async () => {
    const { stdout } = await explain("mqtt5:content-type", "nomq:device");
    expect(stdout.split("\n").slice(0, 2)).toEqual(["content-type", "  MQTT 5 to NoMQ v1 device: lost"]);
    expect(stdout).toMatch(/^ {4}in: {2}kept: Content Type/m);
    expect(stdout).toMatch(/^ {4}out: lost: /m);
  });

  test("--json prints one object for each pair of variants and property", async () => {
    const { stdout } = await explain("nomq:qos2", "mqtt", "--json");
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.map(({ from, to }) => `${from} ${to}`)).toEqual([
      "nomq:device mqtt:3.1.1",
      "nomq:device mqtt:5",
      "nomq:node mqtt:3.1.1",
      "nomq:node mqtt:5",
    ]);
    const cell = { is: "kept", how: expect.any(String) };
    expect(rows[0]).toEqual({
      property: "qos2",
      from: "nomq:device",
      to: "mqtt:3.1.1",
      is: "kept",
      in: cell,
      out: cell,
    });
  });

  test.each([
    ["mqtt5:contentType", "nomq", ["content-type"]],
    ["mqtt311", "nomq:node:RETAIN", ["retain"]],
    ["nomq:qos", "mqtt3.1.1", ["qos0", "qos1", "qos2", "qos3"]],
    ["nomq:qos", "mqtt:5:qos1", ["qos1"]],
  ])("%s to %s asks for %j", async (from, to, properties) => {
    const { stdout } = await explain(from, to, "--json");
    const named = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).property);
    expect([...new Set(named)]).toEqual(properties);
  });

  test.each([
    ["nmoq", "mqtt", 2, 'error: "nmoq" is not in the mapping; did you mean nomq?'],
    ["nomq:qso2", "mqtt", 2, "did you mean qos2?"],
    ["nomq:divice", "mqtt", 2, "did you mean device?"],
    ["mqtt4", "nomq", 2, "did you mean mqtt?"],
    ["nomq:device:node", "mqtt", 2, '"node" is not in the mapping'],
    ["nomq:ttl", "mqtt:retain", 2, "both sides name a property, and not the same one"],
    ["nomq:", "mqtt", 2, '"" is not in the mapping; known: '],
    ["nomq", "coap:nom", 2, "did you mean non?"],
    ["xmp:qos1", "mqtt", 2, "did you mean xmpp?"],
    ["xmpp:itme", "mqtt", 2, "did you mean item?"],
  ])("%s to %s ends with %i and says why", async (from, to, code, said) => {
    const ended = await explain(from, to);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(said);
    expect(ended.stdout).toBe("");
  });
});
