import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { launchGateway, nomq, testFolder } from "./launch.ts";
import { takenPorts } from "./taken-ports.ts";

const ON_ANY_PORT =
  "nomq: { listen: ['udp://127.0.0.1:0'] }\nmqtt: { listen: ['mqtt://127.0.0.1:0', 'ws://127.0.0.1:0'] }\ncoap: { listen: ['coap://127.0.0.1:0'] }\nhttp: { listen: ['http://127.0.0.1:0'] }\n";

describe("refusal to start", () => {
  test("a port in use: exit 1 naming port and key, and nothing stays open", async () => {
    using folder = testFolder();
    await using taken = await takenPorts();
    const cases = [
      [
        `mqtt: { listen: ['ws://127.0.0.1:0', 'mqtt://127.0.0.1:${taken.tcp}'] }`,
        "mqtt.listen[1]",
        taken.tcp,
      ],
      [`nomq: { listen: ['udp://127.0.0.1:${taken.udp}'] }`, "nomq.listen[0]", taken.udp],
      [`coap: { listen: ['coap://127.0.0.1:${taken.udp}'] }`, "coap.listen[0]", taken.udp],
      [`http: { listen: ['http://127.0.0.1:${taken.tcp}'] }`, "http.listen[0]", taken.tcp],
    ] as const;
    for (const [config, key, port] of cases) {
      const others = ON_ANY_PORT.split("\n").filter((line) => !line.startsWith(config.slice(0, 4)));
      const file = folder.file("gateway.yaml", `${config}\n${others.join("\n")}`);
      const { code, stdout, stderr } = await nomq(["gateway", "--config", file]).ended;
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(`port-in-use: ${key}: port ${port}: `);
      expect(stderr.match(/\bstop it\b/g), "the advice stands once").toHaveLength(1);
      expect(existsSync(join(folder.path, "data", "control.sock"))).toBe(false);
    }
  });

  test("--port-offset shifts every port that is not 0", async () => {
    using folder = testFolder();
    await using taken = await takenPorts();
    const none = { nomq: [], mqtt: [], coap: [], http: [] } satisfies Record<string, string[]>;
    const refusedWith = async (name: string, listen: Record<string, string[]>): Promise<string> => {
      const lines = Object.entries({ ...none, ...listen }).map(
        ([section, urls]) => `${section}: ${JSON.stringify({ listen: urls })}\n`,
      );
      const file = folder.file(name, lines.join(""));
      const { code, stderr } = await nomq(["--config", file, "--port-offset", "100"]).ended;
      expect(code).toBe(1);
      return stderr;
    };
    const [tcp, udp] = [taken.tcp - 100, taken.udp - 100];
    const mqtt = ["mqtt://127.0.0.1:0", `ws://127.0.0.1:${tcp}`];
    expect(await refusedWith("mqtt.yaml", { mqtt })).toContain(
      `port-in-use: mqtt.listen[1]: port ${taken.tcp}: `,
    );
    const http = [`http://127.0.0.1:${tcp}`];
    expect(await refusedWith("http.yaml", { http })).toContain(
      `port-in-use: http.listen[0]: port ${taken.tcp}: `,
    );
    const coap = [`coap://127.0.0.1:${udp}`];
    expect(await refusedWith("coap.yaml", { coap })).toContain(
      `port-in-use: coap.listen[0]: port ${taken.udp}: `,
    );
    const file = join(folder.path, "mqtt.yaml");
    const beyond = await nomq(["--config", file, "--port-offset", "65535"]).ended;
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toMatch(/^config-invalid: --port-offset 65535 takes ws:.* beyond port 65535/m);
  });

  test("a bad file: exit 1 with every fault, and no folder is made", async () => {
    using folder = testFolder();
    const file = folder.file("gateway.yaml", "nomq: { pase: 1 }\ncoap: { psk: [{ id: a, key: b }] }\n");
    const { code, stdout, stderr } = await nomq(["gateway", "--config", file]).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /nomq\.pase: is not a known key; did you mean pace\?\n.*coap\.psk: not available yet/,
    );
    expect(readdirSync(folder.path)).toEqual(["gateway.yaml"]);
  });

  test("a second gateway on the same data folder: exit 1, and the first goes on", async () => {
    using folder = testFolder();
    await using first = await launchGateway({ folder });
    const second = await nomq(["gateway", "--config", join(folder.path, "gateway.yaml")]).ended;
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(
      `data-in-use: a gateway already runs on ${join(folder.path, "data")}; stop it`,
    );
    expect((await createControlClient(first.controlSocket).get("/healthz")).status).toBe(200);
  });

  test("the socket of a gateway that was killed is replaced", async () => {
    using folder = testFolder();
    {
      await using killed = await launchGateway({ folder });
      killed.signal("SIGKILL");
      await killed.ended;
      expect(existsSync(killed.controlSocket)).toBe(true);
    }
    await using gateway = await launchGateway({ folder });
    expect((await createControlClient(gateway.controlSocket).get("/healthz")).status).toBe(200);
    const names = ["control.sock", "keys", "session-log.jsonl", "store"];
    expect(readdirSync(join(folder.path, "data")).sort()).toEqual(names);
  });

  test("a data folder that cannot be made: exit 1", async () => {
    using folder = testFolder();
    const file = folder.file("gateway.yaml", ON_ANY_PORT);
    const { code, stderr } = await nomq(["gateway", "--config", file, "--data", join(file, "data")]).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^store-failed: cannot make the folder .* \(ENOTDIR\)/m);
  });

  test("a path too long for a socket: exit 1 and the length that would do", async () => {
    using folder = testFolder();
    const data = join(folder.path, "d".repeat(120));
    const file = folder.file("gateway.yaml", ON_ANY_PORT);
    const { code, stderr } = await nomq(["gateway", "--config", file, "--data", data]).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^listen-failed: the path .* is too long for a socket; at most \d+ bytes/m);
  });
});
