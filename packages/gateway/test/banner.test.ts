import { describe, expect, test } from "vitest";
import { type BannerOptions, banner } from "../src/banner.ts";
import type { Running } from "../src/index.ts";
import { newKey } from "../src/keys.ts";

const RUNNING: Running = {
  listen: { nomq: ["udp://[::]:8888"], mqtt: ["ws://[::]:8083", "mqtt://[::]:1883"] },
  controlSocket: "/data/control.sock",
  keys: { keys: [newKey("a"), newKey("b")], from: "folder", path: "/data/keys" },
};
const OPTIONS: BannerOptions = { version: "1", command: "nomq", data: "/data", mqttListen: [], place: "" };

const shown = (running: Partial<Running>, options: Partial<BannerOptions> = {}): string =>
  banner({ ...RUNNING, ...running }, { ...OPTIONS, ...options });

describe("banner", () => {
  test("wildcard listeners are reached on this machine at 127.0.0.1, with the first key's file", () => {
    const text = shown({});
    expect(text).toContain("  mosquitto_sub -h 127.0.0.1 -p 1883 -t demo/hello -v\n");
    expect(text).toContain("--nomq udp://127.0.0.1:8888 --key /data/keys/a.json\n");
    expect(text).toContain("  keys    a, b (in /data/keys)\n");
  });

  test("an IPv6 listener keeps its brackets", () => {
    const text = shown({ listen: { nomq: ["udp://[::1]:9"], mqtt: ["mqtt://[::1]:1883"] } });
    expect(text).toContain("mosquitto_sub -h ::1 -p 1883");
    expect(text).toContain("--nomq udp://[::1]:9 ");
  });

  test("without MQTT the lines use our own commands; with keys of the configuration none is named", () => {
    const text = shown({ listen: { nomq: [] }, keys: { keys: [newKey("a")], from: "configuration" } });
    expect(text).toContain("  nomq sub demo/hello\n");
    expect(text).toContain("  nomq keys new --id site --out site.json\n");
    expect(text).toContain("  nomq    no listener\n");
  });

  test("with rules it says so, shows no name of them, and its lines go through the control socket", () => {
    const users = [{ name: "ann", password: "scrypt$1" }];
    const text = shown({}, { access: { users, tokens: [], rules: [{ who: "user:ann", publish: ["#"] }] } });
    expect(text).toContain("  access  1 rule, 1 user, 0 tokens; what no rule allows is denied (nomq access");
    expect(text).toContain("  nomq sub demo/hello\n  nomq pub demo/hello");
    expect(text).not.toMatch(/ann|scrypt|mosquitto|--nomq/);
  });

  test("no key is ever shown", () => {
    const [key] = RUNNING.keys.keys;
    expect(shown({})).not.toContain(key?.encryption);
    expect(shown({}, { data: "memory" })).not.toContain(key?.mac);
  });

  test.each([
    [
      [{ url: "a" }, { url: "b" }],
      "MQTT clients without a name may do everything: programs on this machine only\n",
    ],
    [[{ url: "a", anonymous: "none" }], "MQTT clients without a name may do everything: nobody\n"],
    [
      [{ url: "a", anonymous: ["10.0.0.0/8"] }, { url: "b" }],
      "mqtt.listen[0] addresses in 10.0.0.0/8; mqtt.listen[1] programs on this machine only\n",
    ],
  ] as const)("who may come: %j", (mqttListen, text) => {
    expect(shown({}, { mqttListen })).toContain(text);
  });

  test("who may come by CoAP, and which sections let a network in", () => {
    const mqttListen = [{ url: "a" }];
    const open = shown({}, { mqttListen, coapListen: [{ url: "b" }] });
    expect(open).toContain("  CoAP devices may do everything: programs on this machine only\n");
    expect(open).toContain("on a listener of mqtt.listen or coap.listen admits a network)");
    const told = shown({}, { mqttListen, coapListen: [{ url: "b", anonymous: ["10.0.0.0/8"] }] });
    expect(told).toContain("  CoAP devices may do everything: addresses in 10.0.0.0/8\n");
    expect(told).toContain("on a listener of mqtt.listen admits a network)");
  });

  test("as whom it goes to which XMPP server, who may publish there, and no password", () => {
    const account = { domain: "example.org", username: "gw", password: "s3cret", tls: {}, access: {} };
    const xmpp = { ...account, publish: ["a/#"], subscribe: [], history: 250, findEvery: 60_000 };
    expect(shown({}, { xmpp })).toContain(
      "  xmpp    gw@example.org at xmpp://example.org:5222, nodes of pubsub.example.org\n",
    );
    expect(shown({}, { xmpp })).not.toContain("whoever the server lets publish");
    const open = shown({}, { xmpp: { ...xmpp, subscribe: ["b/#"] } });
    expect(open).toContain("XMPP: whoever the server lets publish may do everything\n");
    expect(open).not.toContain("s3cret");
  });

  test("without NoMQ, the third line speaks CoAP", () => {
    const text = shown({ listen: { mqtt: ["mqtt://[::]:1883"], coap: ["coap://[::]:5683"] } });
    expect(text).toContain('  coap-client-notls -m put -e "as a sensor" coap://127.0.0.1:5683/demo/hello\n');
    expect(text).not.toContain("keys new");
  });

  test("who may come by HTTP without a token", () => {
    const text = shown({}, { httpListen: [{ url: "a" }, { url: "b", anonymous: "none" }] });
    expect(text).toContain(
      "HTTP without a token may do everything: http.listen[0] programs on this machine only; http.listen[1] nobody\n",
    );
  });
});
