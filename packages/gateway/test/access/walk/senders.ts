import { connectAsync } from "mqtt";
import { expect } from "vitest";
import { type Asked, openCoapClient } from "../../coap/client.ts";
import { answerOf } from "./ask.ts";
import { PASSWORDS, TOKENS, type TokenName, type UserName, type WalkGateway } from "./gateway.ts";
import { senderNode } from "./receivers.ts";
import { EVERYTHING } from "./rules.ts";

/** Someone who writes, on a socket. */
export interface Sender extends AsyncDisposable {
  readonly name: string;
  /** The principal that the rules see. */
  readonly who: string;
  readonly side?: string;
  /**
   * Resolves once the gateway has answered, with whether it took the message; undefined where the protocol does not
   * say. `mayBe`: whether the rules allow it, for protocols that wait long for the answer to what is refused.
   */
  send(channel: string, text: string, mayBe: boolean): Promise<boolean | undefined>;
}

/** One of every protocol. */
export async function openSenders(gateway: WalkGateway): Promise<Sender[]> {
  return [
    await mqttSender(gateway, 4, "ann"),
    await mqttSender(gateway, 5, "bob"),
    await mqttSender(gateway, 5),
    await nomqSender(gateway),
    await coapSender(gateway, { method: "put", query: ["retain=0"] }),
    await coapSender(gateway, { method: "post", type: "non", query: ["qos=1"] }),
    httpSender(gateway, "writer"),
    httpSender(gateway),
    controlSender(gateway),
  ];
}

async function mqttSender(gateway: WalkGateway, version: 4 | 5, user?: UserName): Promise<Sender> {
  const client = await connectAsync(`mqtt://127.0.0.1:${gateway.mqtt}`, {
    ...{ protocolVersion: version, reconnectPeriod: 0 },
    ...(user !== undefined && { username: user, password: PASSWORDS[user] }),
  });
  return {
    name: `mqtt ${version} ${user ?? "anonymous"}`,
    who: user === undefined ? "addr:127.0.0.1" : `user:${user}`,
    async send(channel, text, mayBe) {
      // MQTT 3.1.1 has no refusal: at QoS 1 the connection would end.
      if (version === 4 && !mayBe) {
        await client.publishAsync(channel, text, { qos: 0 });
        // TCP may hold a small packet back until the one before is acknowledged: it must be judged by today's rules.
        await client.publishAsync("end/0", "x", { qos: 1 });
        return undefined;
      }
      return await client.publishAsync(channel, text, { qos: 1 }).then(
        () => true,
        () => false,
      );
    },
    [Symbol.asyncDispose]: () => client.endAsync(true),
  };
}

async function nomqSender(gateway: WalkGateway): Promise<Sender> {
  const node = await senderNode(0, gateway);
  return {
    name: "nomq node",
    who: "nomq:site",
    async send(channel, text, mayBe) {
      // NoMQ has no refusal: at QoS 1 it would be tried for half a minute.
      const qos = mayBe ? 1 : 0;
      const { is } = await node.publish(channel, Buffer.from(text), { to: "gateway", qos });
      return mayBe ? is === "delivered" : undefined;
    },
    [Symbol.asyncDispose]: () => node.stop(),
  };
}

/** A device without a name; what is kept stays, so that those who come late find it. */
async function coapSender(gateway: WalkGateway, asked: Omit<Asked, "path" | "payload">): Promise<Sender> {
  const client = await openCoapClient(gateway.coap);
  return {
    name: `coap ${asked.method} ${asked.type ?? "con"}`,
    who: "addr:127.0.0.1",
    async send(path, text) {
      const reply = await client.ask({ ...asked, path, payload: Buffer.from(text) });
      if (reply === undefined) return undefined;
      expect(reply.code).toMatch(/^(2\.0[14]|4\.03)$/);
      return reply.code !== "4.03";
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function httpSender(gateway: WalkGateway, token?: TokenName): Sender {
  return {
    name: `http ${token ?? "anonymous"}`,
    who: token === undefined ? "addr:127.0.0.1" : `token:${token}`,
    async send(channel, payload) {
      const body = { channel, payload, qos: 1 };
      const answer = await answerOf(gateway.http, { path: "publish", token: token && TOKENS[token], body });
      return answer.status === 200;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function controlSender({ control }: WalkGateway): Sender {
  return {
    name: "control",
    who: EVERYTHING,
    send: async (channel, payload) => (await control.publish({ channel, payload, qos: 1 })).at !== "refused",
    [Symbol.asyncDispose]: async () => undefined,
  };
}
