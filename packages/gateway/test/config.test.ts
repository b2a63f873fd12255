import { NomqError } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { inspectConfig, inspectConfigFile } from "../src/config/load.ts";
import { type Config, parseConfig } from "../src/index.ts";
import { testFolder } from "./launch.ts";

const HEX = "5b7d".repeat(16);
const MAC = "e19c".repeat(16);
const KEY = `{ id: site, encryption: "${HEX}", mac: "${MAC}" }`;

const parse = (text: string, env: Record<string, string> = {}): Config =>
  parseConfig({ name: "gateway.yaml", text, folder: "/etc/nomq", env });

function refusal(text: string, env: Record<string, string> = {}): string {
  try {
    parse(text, env);
  } catch (error) {
    expect(error).toBeInstanceOf(NomqError);
    return error instanceof Error ? error.message : "";
  }
  throw new Error(`accepted: ${text}`);
}

describe("defaults", () => {
  test("an empty file runs every listener that needs no outside server", () => {
    expect(parse("")).toEqual({
      version: 1,
      data: "/etc/nomq/data",
      durability: "process",
      nomq: {
        listen: [{ url: "udp://[::]:8888" }],
        channels: [],
        broadcast: [],
        broadcastFilters: [],
        pace: 5,
        probe: 60_000,
        devices: [],
      },
      mqtt: { listen: [{ url: "mqtt://[::]:1883" }, { url: "ws://[::]:8083" }] },
      coap: { listen: [{ url: "coap://[::]:5683" }], prefix: "", observe: [], poll: [], send: [] },
      keep: { receipts: 86_400_000, history: [{ filter: "#", last: 10, forMs: 86_400_000 }] },
      http: { listen: [{ url: "http://127.0.0.1:8080" }] },
      log: { level: "info", format: "pretty", file: null },
    });
  });

  test.each(["nomq:", "nomq: {}\nmqtt:\nlog:", "version: 1", "# nothing but a comment", "---\n{}"])(
    "%j is the same as an empty file",
    (text) => expect(parse(text)).toEqual(parse("")),
  );

  test("what asks for nothing is taken, also where the part comes later", () => {
    const text = `
durability: process
nomq: { broadcast: [], broadcastFilters: [], time: null, probe: 60s }
mqtt: { remotes: [] }
coap: { oscore: [], psk: [] }
xmpp: null
http: {}
keep: {}
`;
    expect(parse(text)).toEqual(parse(""));
  });
});

describe("values", () => {
  test("every key of the nomq and mqtt sections arrives, in milliseconds and bytes", () => {
    const config = parse(`
data: memory
nomq:
  listen: [{ url: "udp://[::1]:8888", ack: delivered, ackTimeout: 500ms }, { url: "udp://[fe80::7%br-lan.2]:1", ack: delivered, ackTimeout: 500ms }]
  keys: [${KEY.replace("}", ", dialect: standard }")}]
  channels: [a/b, { name: c, contentType: application/json }]
  broadcast: ["192.168.1.255:8888", "[ff02::114%br-lan.2]:8888"]
  broadcastFilters: ["site/alarm/#"]
  pace: 2.5
  devices:
    - { name: pump-7, address: "127.0.0.1:9001", key: site, subscribe: ["x/#"], kind: node, clock: any, binary: base64 }
    - { name: fan, address: "[::1]:9001", outbox: { messages: 10, bytes: 64KiB, whenFull: refuse } }
mqtt:
  listen: [{ url: "ws://0.0.0.0:8083", anonymous: [192.168.0.0/16], origins: ["https://dash.example"], maxPayload: 1MiB }]
log: { level: debug, format: json, file: ./gateway.log }
`);
    expect(config.data).toBe("memory");
    expect(config.nomq.listen[0]).toEqual({ url: "udp://[::1]:8888", ack: "delivered", ackTimeout: 500 });
    expect(config.nomq.keys).toEqual([{ id: "site", encryption: HEX, mac: MAC, dialect: "standard" }]);
    expect(config.nomq.channels).toEqual([{ name: "a/b" }, { name: "c", contentType: "application/json" }]);
    expect(config.nomq.listen[1]?.url).toBe("udp://[fe80::7%br-lan.2]:1");
    expect(config.nomq).toMatchObject({
      broadcast: ["192.168.1.255:8888", "[ff02::114%br-lan.2]:8888"],
      broadcastFilters: ["site/alarm/#"],
      pace: 2.5,
    });
    expect(config.nomq.devices[0]).toMatchObject({
      key: "site",
      kind: "node",
      clock: "any",
      binary: "base64",
    });
    expect(config.nomq.devices[1]).toEqual({
      name: "fan",
      address: "[::1]:9001",
      subscribe: [],
      kind: "device",
      clock: "learn",
      binary: "refuse",
      outbox: { messages: 10, bytes: 65_536, whenFull: "refuse" },
    });
    expect(config.mqtt.listen).toEqual([
      {
        url: "ws://0.0.0.0:8083",
        anonymous: ["192.168.0.0/16"],
        origins: ["https://dash.example"],
        maxPayload: 1_048_576,
      },
    ]);
    expect(config.log).toEqual({ level: "debug", format: "json", file: "/etc/nomq/gateway.log" });
  });

  test("a device may use the key that will be generated", () => {
    const text = "nomq: { devices: [{ name: a, address: '127.0.0.1:1', key: site }] }";
    expect(parse(text).nomq.devices[0]?.key).toBe("site");
  });

  test("a secret comes from the environment", () => {
    const text = `nomq: { keys: [{ id: a, encryption: { env: ENC }, mac: "${MAC.toUpperCase()}" }] }`;
    expect(parse(text, { ENC: HEX }).nomq.keys?.[0]).toMatchObject({ encryption: HEX, mac: MAC });
  });
});

describe("refusals name place, path, reason and advice", () => {
  test.each([
    [
      "nomq:\n  lisen: []",
      "config-invalid: gateway.yaml:2:3: nomq.lisen: is not a known key; did you mean listen?",
    ],
    ["mqttt: {}", "config-invalid: gateway.yaml:1:1: mqttt: is not a known key; did you mean mqtt?"],
    [
      "log: { colour: red }",
      "config-invalid: gateway.yaml:1:8: log.colour: is not a known key; known here: level, format, file",
    ],
    [
      "log: { level: wran }",
      "config-invalid: gateway.yaml:1:8: log.level: expected debug, info, warn or error; did you mean warn?",
    ],
    [
      "nomq: { probe: 60 }",
      "config-invalid: gateway.yaml:1:9: nomq.probe: expected a duration with its unit, such as 500ms, 60s, 5m or 24h",
    ],
    [
      "nomq: { pace: 0 }",
      "config-invalid: gateway.yaml:1:9: nomq.pace: expected a number of datagrams per second above 0",
    ],
    [
      "mqtt: { listen: ['tcp://[::]:1883'] }",
      "config-invalid: gateway.yaml:1:18: mqtt.listen[0]: expected mqtt://, mqtts://, ws:// or wss:// with a host and a port, such as mqtt://[::]:1883",
    ],
    [
      "nomq: { listen: ['udp://127.0.0.1:65536'] }",
      "config-invalid: gateway.yaml:1:18: nomq.listen[0]: expected udp:// with an IP address and a port, such as udp://[::]:8888",
    ],
    [
      "nomq: { channels: [a, 'b/#'] }",
      "config-invalid: gateway.yaml:1:23: nomq.channels[1]: expected a channel name (no NUL, + or #, not starting with $)",
    ],
    ["nomq: { channels: [{}] }", "config-invalid: gateway.yaml:1:20: nomq.channels[0].name: is missing"],
    [
      "nomq: { devices: [{ name: a, address: 'pump:1' }] }",
      "config-invalid: gateway.yaml:1:30: nomq.devices[0].address: expected an IP address with a port, such as 192.168.1.7:8888",
    ],
    ["nomq: { devices: [{ name: a, address: 'fe80::1:8888' }] }", "expected an IP address with a port"],
    [
      "nomq: { devices: [{ name: a, address: '[::ffff:127.0.0.1]:1' }, { name: b, address: '127.0.0.1:1' }] }",
      "nomq.devices[1].address: is that of a; what comes from there could be either's",
    ],
    [
      "nomq: { devices: [{ name: a, address: '127.0.0.1:1', key: zz }] }",
      "config-invalid: gateway.yaml:1:54: nomq.devices[0].key: names no key; known: site",
    ],
    [
      "nomq: { keys: [] }",
      "config-invalid: gateway.yaml:1:9: nomq.keys: expected at least one key; leave it out to have one generated",
    ],
    [
      "nomq: { listen: ['udp://localhost:8888'] }",
      "config-invalid: gateway.yaml:1:18: nomq.listen[0]: expected udp:// with an IP address and a port, such as udp://[::]:8888",
    ],
    [
      "mqtt: { listen: [{ url: 'mqtt://[::]:1', anonymous: [10.0.0.0/33] }] }",
      "config-invalid: gateway.yaml:1:54: mqtt.listen[0].anonymous[0]: expected an address range such as 192.168.0.0/16",
    ],
    [
      "mqtt: { listen: [{ url: 'mqtt://[::]:1', maxPayload: 1B }] }",
      "config-invalid: gateway.yaml:1:42: mqtt.listen[0].maxPayload: expected a size from 128B to 255MiB",
    ],
    ["version: 2", "config-invalid: gateway.yaml:1:1: version: expected 1"],
    [
      "- a",
      "config-invalid: gateway.yaml:1:1: (file): expected a mapping of sections such as nomq: and mqtt:",
    ],
    [
      `nomq: { keys: [{ id: a, encryption: { env: NONE }, mac: "${HEX}" }] }`,
      "config-invalid: gateway.yaml:1:25: nomq.keys[0].encryption: environment variable NONE is not set",
    ],
    [
      `nomq: { keys: [{ id: a, encryption: { file: no.key }, mac: "${HEX}" }] }`,
      "config-invalid: gateway.yaml:1:25: nomq.keys[0].encryption: cannot read /etc/nomq/no.key (ENOENT)",
    ],
    [
      "nomq: { listen: ['udp://[::]:1', { url: 'udp://[::]:2', ack: stord }] }",
      "config-invalid: gateway.yaml:1:57: nomq.listen[1].ack: expected accepted, stored or delivered; did you mean stored?",
    ],
    ["a: [", "config-invalid: gateway.yaml:1:5: (file): is not valid YAML: "],
    ["a: 1\na: 2", "config-invalid: gateway.yaml:2:1: (file): is not valid YAML: Map keys must be unique"],
    [
      "nomq: { listen: [{ url: 'udp://[::]:8888', anonymous: none }] }",
      "config-invalid: gateway.yaml:1:44: nomq.listen[0].anonymous: is not a known key; known here: url, ack, ackTimeout",
    ],
  ])("%j", (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  test("all faults at once, in the order of the file", () => {
    expect(
      refusal(
        "log: { level: loud }\nnomq:\n  pase: 1\n  probe: soon\ncoap: { listen: ['coaps://[::]:5684'] }",
      ),
    ).toBe(`config-invalid: 4 faults
  gateway.yaml:1:8: log.level: expected debug, info, warn or error
  gateway.yaml:3:3: nomq.pase: is not a known key; did you mean pace?
  gateway.yaml:4:3: nomq.probe: expected a duration with its unit, such as 500ms, 60s, 5m or 24h
  gateway.yaml:5:18: coap.listen[0]: not available yet (CoAP over DTLS); use coap:// in a network that you trust, or remove it`);
  });

  test("a bad secret is not shown", () => {
    const text = `nomq: { keys: [{ id: a, encryption: hunter2, mac: { file: ./x, env: Y } }] }`;
    expect(refusal(text)).not.toMatch(/hunter2/);
    expect(refusal(text)).toContain("nomq.keys[0].mac");
  });

  test("aliases that would unfold without bound are refused", () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
    for (let at = 1; at < 9; at += 1) {
      lines.push(
        `a${at}: &a${at} [${Array(9)
          .fill(`*a${at - 1}`)
          .join(", ")}]`,
      );
    }
    expect(refusal(lines.join("\n"))).toMatch(/is not valid YAML: Excessive alias count/);
  });
});

describe("parts of a later version are checked, then refused by name", () => {
  test.each([
    ["mqtt: { listen: ['mqtts://[::]:8883'] }", "1:18: mqtt.listen[0]: not available yet (TLS on listeners)"],
    [
      "mqtt: { listen: [{ url: 'mqtt://[::]:1', tls: { cert: a, key: b } }] }",
      "1:42: mqtt.listen[0].tls: not available yet (TLS on listeners)",
    ],
    [
      "mqtt: { remotes: [{ name: cloud, url: 'mqtt://b.example:1883', publish: [{ from: a/#, to: b/#, qos: 1 }] }] }",
      "1:9: mqtt.remotes: not available yet (connecting to other MQTT brokers)",
    ],
    [
      "xmpp: { domain: a.example, username: gw, password: p, component: { service: 'xmpp://127.0.0.1:5347', domain: n.example, secret: s } }",
      "1:55: xmpp.component: not available yet (serving XMPP nodes ourselves)",
    ],
  ])("%j", (text, message) => {
    expect(refusal(text)).toContain(`not-available-yet: gateway.yaml:${message}`);
  });

  test("their own mistakes are told first", () => {
    const text = "mqtt: { remotes: [{ name: a, url: 'mqtt://b', versoin: 4 }] }";
    expect(refusal(text)).toContain("mqtt.remotes[0].versoin: is not a known key; did you mean version?");
    expect(refusal(text)).toMatch(/^config-invalid/);
  });
});

test("names in a file neither drive the terminal nor forge lines of what is said of it", () => {
  const result = inspectConfig({ name: "f", text: '"\\e[31mred\\nf:1:1: all is well": 1\n', folder: "/" });
  expect(result.ok ? "" : result.error.message).toMatch(
    /^config-invalid: f:1:1: \\u001b\[31mred\\u000af:1:1: all is well: /,
  );
});

test("a file larger than 1 MiB is refused unread", () => {
  using folder = testFolder();
  folder.file("large.yaml", `# ${"x".repeat(1_048_576)}\n`);
  expect(inspectConfigFile("large.yaml", folder.path)).toMatchObject({
    ok: false,
    faults: [{ path: "(file)", reason: "is larger than 1 MiB" }],
  });
});
