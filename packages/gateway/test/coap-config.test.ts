import { describe, expect, test } from "vitest";
import { inspectConfig } from "../src/config/load.ts";
import { type Config, parseConfig } from "../src/index.ts";

const parse = (text: string): Config => parseConfig({ name: "f", text, folder: "/etc/nomq", env: {} });

/** All that is wrong, a line each. */
function refusal(text: string): string {
  const result = inspectConfig({ name: "f", text, folder: "/", env: {} });
  if (result.ok) throw new Error(`accepted: ${text}`);
  return result.error.message;
}

const FULL = `
coap:
  listen:
    - "coap://127.0.0.1:0"
    - { url: "coap://[fe80::7%eth0]:5683", anonymous: [10.0.0.0/8], ack: delivered, ackTimeout: 2s, maxPayload: 64KiB }
  prefix: /devices/coap/
  observe:
    - { url: "coap://10.0.0.9/temp", channel: sensors/roof/temperature }
    - { url: "coap://[2001:db8::9]:5683/a%20b/?unit=C", channel: sensors/roof/other, qos: 0, expire: true }
  poll: [{ url: "coap://sensor.example/hum", channel: sensors/roof/humidity, every: 60s }]
  send:
    - { name: valve, from: actuators/valve, url: "coap://10.0.0.9/valve" }
    - { name: lamp, from: "lamps/#", url: "coap://10.0.0.9/lamp", method: post, outbox: { messages: 10 } }
`;

test("every key of the coap section arrives, defaults filled in", () => {
  expect(parse(FULL).coap).toEqual({
    listen: [
      { url: "coap://127.0.0.1:0" },
      {
        url: "coap://[fe80::7%eth0]:5683",
        anonymous: ["10.0.0.0/8"],
        ack: "delivered",
        ackTimeout: 2_000,
        maxPayload: 65_536,
      },
    ],
    prefix: "/devices/coap/",
    observe: [
      { url: "coap://10.0.0.9/temp", channel: "sensors/roof/temperature", qos: 1, expire: false },
      {
        url: "coap://[2001:db8::9]:5683/a%20b/?unit=C",
        channel: "sensors/roof/other",
        qos: 0,
        expire: true,
      },
    ],
    poll: [
      {
        url: "coap://sensor.example/hum",
        channel: "sensors/roof/humidity",
        qos: 1,
        expire: false,
        every: 60_000,
      },
    ],
    send: [
      { name: "valve", from: "actuators/valve", url: "coap://10.0.0.9/valve", method: "put" },
      {
        name: "lamp",
        from: "lamps/#",
        url: "coap://10.0.0.9/lamp",
        method: "post",
        outbox: { messages: 10 },
      },
    ],
  });
});

describe("refusals name path, reason and advice", () => {
  test.each([
    ["{ lisen: [] }", "coap.lisen: is not a known key; did you mean listen?"],
    [
      "{ observe: [{ url: 'coap://h/a', chanel: a }] }",
      "coap.observe[0].chanel: is not a known key; did you mean channel?",
    ],
    [
      "{ listen: [{ url: 'coap://[::]:1', origins: [] }] }",
      "coap.listen[0].origins: is not a known key; known here: url, tls, ack, ackTimeout, anonymous, maxPayload",
    ],
    [
      "{ listen: ['coap://sensor.example:5683'] }",
      "coap.listen[0]: expected coap:// with an IP address and a port, such as coap://[::]:5683",
    ],
    ["{ listen: ['udp://[::]:5683'] }", "coap.listen[0]: expected coap:// with an IP address and a port"],
    ["{ listen: ['coap://[::]:65536'] }", "coap.listen[0]: expected coap:// with an IP address and a port"],
    ["{ listen: ['coap://[::]:5683/ps'] }", "coap.listen[0]: expected coap:// with an IP address and a port"],
    ["{ prefix: 'a?b' }", "coap.prefix: expected a path such as devices/coap, without ? or #"],
    ["{ prefix: 'a//b' }", "coap.prefix: expected a path such as devices/coap"],
    ["{ prefix: '.well-known' }", "coap.prefix: expected a path such as devices/coap"],
    ["{ prefix: '../x' }", "coap.prefix: expected a path such as devices/coap"],
    ["{ observe: [{ url: 'coap://h/a' }] }", "coap.observe[0].channel: is missing"],
    [
      "{ observe: [{ url: 'coap://h/a', channel: 'a/#' }] }",
      "coap.observe[0].channel: expected a channel name",
    ],
    ["{ observe: [{ url: 'coap://h/a', channel: a, qos: 3 }] }", "coap.observe[0].qos: expected 0, 1 or 2"],
    ["{ poll: [{ url: 'coap://h/a', channel: a, every: 0s }] }", "coap.poll[0].every: expected 1s to 576h"],
    [
      "{ poll: [{ url: 'coap://h/a', channel: a, every: 60 }] }",
      "coap.poll[0].every: expected a duration with its unit",
    ],
    ["{ poll: [{ url: 'coap://h/a', channel: a }] }", "coap.poll[0].every: is missing"],
    [
      "{ send: [{ name: v, from: 'a/#/b', url: 'coap://h/v' }] }",
      "coap.send[0].from: expected a filter (+ is one whole level, # the last)",
    ],
    [
      "{ send: [{ name: v, from: a, url: 'coap://h/v', method: patch }] }",
      "coap.send[0].method: expected put or post",
    ],
    [
      "{ send: [{ name: v, from: a, url: 'coap://h/v' }, { name: v, from: b, url: 'coap://h/w' }] }",
      "coap.send[1].name: is that of coap.send[0], and each actuator has an outbox of its own; give it another name",
    ],
    [
      "{ observe: [{ url: 'coap://h/a', channel: x }, { url: 'coap://i/a', channel: x }] }",
      "coap.observe[1].channel: is that of coap.observe[0]; each value would replace the other's; give each sensor a channel of its own",
    ],
    [
      "{ observe: [{ url: 'coap://h/a', channel: x }], poll: [{ url: 'coap://h/b', channel: x, every: 1m }] }",
      "coap.poll[0].channel: is that of coap.observe[0]",
    ],
  ])("%s", (section, message) => {
    expect(refusal(`coap: ${section}`)).toContain(message);
    expect(refusal(`coap: ${section}`)).toMatch(/^config-invalid: /);
  });

  test.each([
    ["http://h/a", "expected a CoAP URL such as coap://10.0.0.9/temp"],
    ["coap:/h/a", "expected a CoAP URL such as coap://10.0.0.9/temp"],
    ["coap:///a", "expected a CoAP URL such as coap://10.0.0.9/temp"],
    ["coap://h:x/a", "expected a CoAP URL such as coap://10.0.0.9/temp"],
    ["coap://[10.0.0.9]/a", "expected a CoAP URL such as coap://10.0.0.9/temp"],
    ["coap://h/a b", "expected a CoAP URL such as coap://10.0.0.9/temp"],
    ["coap://h:0/a", "expected a port from 1 to 65535"],
    ["coap://h:65536/a", "expected a port from 1 to 65535"],
    ["coap://h/a#now", "has a fragment (#…), which a CoAP URL cannot have; leave it out"],
    ["coap://me:hunter2@h/a", "has a name before its host (…@), for which CoAP has no place; leave it out"],
    ["coap://h/a/../b", "has a level . or .., which names nothing"],
    ["coap://h/100%", "has a % that is no percent-encoding of UTF-8; write %25 for a % itself"],
    ["coap://h/%ff", "has a % that is no percent-encoding of UTF-8; write %25 for a % itself"],
    ["coap://224.0.1.187/a", "is the address of a group; give that of one device"],
    ["coap://[ff02::fd]/a", "is the address of a group; give that of one device"],
    [`coap://h/${"a".repeat(256)}`, "has a part longer than 255 bytes, the longest CoAP can say"],
  ])("%s is no resource", (url, reason) => {
    for (const entry of ["observe", "poll", "send"]) {
      const rest = { observe: "channel: a", poll: "channel: a, every: 1m", send: "name: a, from: a" }[entry];
      const said = refusal(`coap: { ${entry}: [{ url: ${JSON.stringify(url)}, ${rest} }] }`);
      expect(said).toContain(`coap.${entry}[0].url: ${reason}`);
      expect(said).not.toContain("hunter2");
    }
  });
});

describe("parts of a later version are refused by name", () => {
  const SECRET = "00".repeat(16);

  test.each([
    ["{ listen: ['coaps://[::]:5684'] }", "coap.listen[0]: not available yet (CoAP over DTLS)"],
    [
      "{ listen: [{ url: 'coap+tcp://[::]:5683' }] }",
      "coap.listen[0].url: not available yet (CoAP over TCP)",
    ],
    [
      "{ listen: [{ url: 'coap://[::]:5683', tls: { cert: a, key: b } }] }",
      "coap.listen[0].tls: not available yet (DTLS on CoAP listeners)",
    ],
    [
      "{ observe: [{ url: 'coaps://h/a', channel: a }] }",
      "coap.observe[0].url: not available yet (CoAP over DTLS)",
    ],
    [
      "{ poll: [{ url: 'coap+tcp://h/a', channel: a, every: 1m }] }",
      "coap.poll[0].url: not available yet (CoAP over TCP)",
    ],
    [
      "{ send: [{ name: v, from: a, url: 'coaps+tcp://h/a' }] }",
      "coap.send[0].url: not available yet (CoAP over TLS)",
    ],
    [
      `{ oscore: [{ id: a, masterSecret: "${SECRET}", senderId: a, recipientId: b }] }`,
      "coap.oscore: not available yet (OSCORE, end-to-end encryption of CoAP); remove it",
    ],
    [
      `{ psk: [{ id: a, key: "${SECRET}" }] }`,
      "coap.psk: not available yet (DTLS with pre-shared keys); remove it",
    ],
  ])("%s", (section, message) => {
    expect(refusal(`coap: ${section}`)).toMatch(/^not-available-yet: f:1:/);
    expect(refusal(`coap: ${section}`)).toContain(message);
    expect(refusal(`coap: ${section}`)).not.toContain(SECRET);
  });

  test("an unencrypted listener is the advice where an encrypted one was asked for", () => {
    expect(refusal("coap: { listen: ['coaps://[::]:5684'] }")).toContain(
      "use coap:// in a network that you trust, or remove it",
    );
  });
});
