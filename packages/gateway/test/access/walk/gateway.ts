import { type AccessRule, hashPassword } from "../../../src/access/index.ts";
import { type ControlClient, createControlClient } from "../../../src/control/control-client.ts";
import { createGateway, parseConfig } from "../../../src/index.ts";
import { CHANNELS, MARK_CHANNELS } from "./rules.ts";

/** Keys that are none of any network. */
const half = (seed: number): string =>
  Buffer.from(Array.from({ length: 32 }, (_, at) => (at * 37 + seed * 101) & 255)).toString("hex");
export type UserName = "ann" | "bob";
export type TokenName = "reader" | "writer";
export const KEYS: readonly { readonly id: string; readonly encryption: string; readonly mac: string }[] = [
  { id: "site", encryption: half(1), mac: half(2) },
  { id: "field", encryption: half(3), mac: half(4) },
];
export const PASSWORDS: Readonly<Record<UserName, string>> = { ann: "correct horse", bob: "battery staple" };
export const TOKENS: Readonly<Record<TokenName, string>> = { reader: "r".repeat(24), writer: "w".repeat(24) };

/** A gateway in this process with every listener it has, on sockets. */
export interface WalkGateway extends AsyncDisposable {
  readonly control: ControlClient;
  readonly mqtt: number;
  readonly nomq: number;
  readonly coap: number;
  readonly http: number;
  /** Other rules, by the API. */
  setRules(rules: readonly AccessRule[]): Promise<void>;
}

let hashes: Promise<readonly string[]> | undefined;

/** Starts it; `devices` are those of `nomq.devices`, `xmpp` is its section where a server is there. */
export async function startWalkGateway(
  rules: readonly AccessRule[],
  { devices, xmpp }: { readonly devices: readonly object[]; readonly xmpp?: object | undefined },
): Promise<WalkGateway> {
  hashes ??= Promise.all(Object.values(PASSWORDS).map(hashPassword));
  const passwords = await hashes;
  const users = Object.keys(PASSWORDS).map((name, at) => ({ name, password: passwords[at] ?? "" }));
  const tokens = Object.entries(TOKENS).map(([name, token]) => ({
    ...{ name, token },
    scopes: ["publish", "subscribe"] as const,
  }));
  let inForce = rules;
  const config = parseConfig({
    name: "walk",
    folder: "/",
    text: JSON.stringify({
      data: "memory",
      nomq: {
        listen: ["udp://127.0.0.1:0"],
        keys: KEYS,
        channels: [...CHANNELS, ...MARK_CHANNELS],
        pace: 1000,
        devices,
      },
      mqtt: { listen: ["mqtt://127.0.0.1:0"] },
      coap: { listen: ["coap://127.0.0.1:0"] },
      http: { listen: ["http://127.0.0.1:0"] },
      ...(xmpp === undefined ? {} : { xmpp }),
      access: { users, tokens, rules },
    }),
  });
  const gateway = createGateway({ config, accessSource: () => ({ users, tokens, rules: inForce }) });
  const { listen, controlSocket } = await gateway.start();
  const control = createControlClient(controlSocket);
  const port = (name: string): number => Number(/:(\d+)$/.exec(listen[name]?.[0] ?? "")?.[1]);
  return {
    control,
    mqtt: port("mqtt"),
    nomq: port("nomq"),
    coap: port("coap"),
    http: port("http"),
    async setRules(next) {
      inForce = next;
      const { status, body } = await control.post("/api/v1/access/reload", {});
      if (status !== 200) throw new Error(JSON.stringify(body));
    },
    [Symbol.asyncDispose]: () => gateway.stop(),
  };
}
