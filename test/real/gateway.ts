import { readFile } from "node:fs/promises";
import { launchGateway as launch, testFolder } from "../../packages/gateway/test/launch.ts";
import { askControl } from "./control.ts";
import type { MqttAddress } from "./mosquitto.ts";
import { vectorKey } from "./vectors.ts";

/** The real binary as a process of its own, with what a test needs to know of it. */
export interface Gateway extends AsyncDisposable {
  readonly nomqPort: number;
  readonly mqtt: MqttAddress;
  /** Of all its MQTT listeners, in their order. */
  readonly mqttPorts: readonly number[];
  /** Of its first CoAP listener; NaN where it has none. */
  readonly coapPort: number;
  /** Of all its CoAP listeners, in their order. */
  readonly coapPorts: readonly number[];
  /** Path of its control socket. */
  readonly control: string;
  /** Everything it has printed: banner and log. */
  output(): string;
  /** GET on the control socket; the answer's JSON. */
  ask(path: string): Promise<unknown>;
  /** Resolves with the NoMQ side of `/healthz` once the test accepts it; asks again until then. */
  nomqHealth(accepts?: (health: NomqHealth) => boolean): Promise<NomqHealth>;
  /** Resident memory in MiB. */
  residentMiB(): Promise<number>;
}

/** Sections of `gateway.yaml`; what is absent listens on ports the kernel chooses, with the vectors' key as `site`. */
export interface GatewaySections {
  readonly nomq?: Readonly<Record<string, unknown>>;
  readonly mqtt?: Readonly<Record<string, unknown>>;
  readonly coap?: Readonly<Record<string, unknown>>;
  /** Absent: no XMPP. */
  readonly xmpp?: Readonly<Record<string, unknown>>;
}

/** Why datagrams were dropped, with counts. */
export type Rejected = Readonly<
  Record<"malformed" | "bad-mac" | "replay" | "stale" | "clock-unknown" | "unknown-channel", number>
>;

/** The NoMQ side of `/healthz`. */
interface NomqHealth {
  readonly rejected: Rejected;
  readonly refused: Readonly<Record<string, number>>;
  readonly unknownChannels: readonly unknown[];
}

const ASK_AGAIN_MS = 50;

/** Starts the gateway in a folder of its own and resolves when it says it is ready. Disposing lets it drain. */
export async function launchGateway(sections: GatewaySections = {}): Promise<Gateway> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(testFolder());
  const program = stack.use(await launch({ folder, config: configText(sections) }));
  stack.defer(async () => {
    program.signal("SIGTERM");
    const { code } = await program.ended;
    if (code !== 0) throw new Error(`the gateway did not end well: ${code}\n${program.stderr()}`);
  });
  const ask = (path: string): Promise<unknown> => askControl(program.controlSocket, path);
  const kept = stack.move();
  return {
    nomqPort: program.port("nomq"),
    mqtt: { host: "127.0.0.1", port: program.port("mqtt", "mqtt") },
    mqttPorts: (program.listen["mqtt"] ?? []).map((url) => Number(/:(\d+)$/.exec(url)?.[1])),
    coapPort: program.port("coap"),
    coapPorts: (program.listen["coap"] ?? []).map((url) => Number(/:(\d+)$/.exec(url)?.[1])),
    control: program.controlSocket,
    output: () => program.stdout() + program.stderr(),
    ask,
    nomqHealth: async (accepts = () => true) => {
      for (;;) {
        // The documented shape of /healthz.
        const { nomq } = (await ask("/healthz")) as { nomq: NomqHealth };
        if (accepts(nomq)) return nomq;
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      }
    },
    residentMiB: async () => {
      const status = await readFile(`/proc/${program.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** One section a line: every JSON text is YAML too. */
function configText(sections: GatewaySections): string {
  const key = {
    id: "site",
    encryption: vectorKey.encryption.toString("hex"),
    mac: vectorKey.mac.toString("hex"),
  };
  const filled = {
    nomq: { listen: ["udp://127.0.0.1:0"], keys: [key], ...sections.nomq },
    mqtt: { listen: ["mqtt://127.0.0.1:0"], ...sections.mqtt },
    coap: { listen: ["coap://127.0.0.1:0"], ...sections.coap },
    ...(sections.xmpp === undefined ? {} : { xmpp: sections.xmpp }),
    log: { format: "json" },
  };
  return Object.entries(filled)
    .map(([name, section]) => `${name}: ${JSON.stringify(section)}\n`)
    .join("");
}
