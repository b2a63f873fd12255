import { describe, expect, test } from "vitest";
import type { IqAnswer, LinkState } from "../../src/link/link.ts";
import { requestsTo } from "../../src/nodes/pubsub-request.ts";
import { createServiceInfo } from "../../src/nodes/service-info.ts";
import type { Element } from "../../src/stream/element.ts";
import { startBridge } from "../bridge-world.ts";
import { type FakeConnection, fakeServer } from "../fake-server.ts";
import { parsed } from "../parsed.ts";

const INFO = "http://jabber.org/protocol/disco#info";
const LIST = "http://jabber.org/protocol/disco#items paged";
const IDENTITY = "<identity category='pubsub' type='service' name='Prosody PubSub Service'/>";
const RSM = "<feature var='http://jabber.org/protocol/rsm'/>";

/** Answers every request until the connection ends; tells what was asked, as the namespace of the query. */
async function serve(connection: FakeConnection, asked: string[]): Promise<void> {
  await connection.login({ manages: false });
  for (;;) {
    const iq = await connection.next();
    if (iq === "open") return;
    const [query] = iq.getChildElements();
    const paged = query?.getChild("set") === undefined ? "" : " paged";
    asked.push(`${query?.getNS() ?? ""}${paged}`);
    const body = query?.getNS() === INFO ? `<query xmlns='${INFO}'>${IDENTITY}${RSM}</query>` : "";
    connection.write(
      `<iq type='result' id='${iq.attrs["id"]}' from='${iq.attrs["to"] ?? "localhost"}'>${body}</iq>`,
    );
  }
}

test("each session asks the service once what it is, for own nodes and for those of others", async () => {
  await using server = await fakeServer();
  const { service } = server;
  await using world = await startBridge({ service, domain: "localhost" }, { subscribe: ["home/#"] });
  for (let session = 0; session < 2; session += 1) {
    const connection = await server.accept();
    const asked: string[] = [];
    void serve(connection, asked);
    await world.until("ready");
    // What it says of pages is known when the nodes are listed.
    await expect.poll(() => asked).toContain(LIST);
    expect(asked.filter((each) => each === INFO)).toEqual([INFO]);
    connection.socket.destroy();
    await world.until("reconnecting");
  }
});

test("nodes of others are looked for as often as the configuration says", async () => {
  await using server = await fakeServer();
  const { service } = server;
  const often = { subscribe: ["home/#"], findEvery: 1_000 };
  await using _ = await startBridge({ service, domain: "localhost" }, often);
  const asked: string[] = [];
  void serve(await server.accept(), asked);
  const looks = (): number => asked.filter((each) => each === LIST).length;
  await expect.poll(looks, { timeout: 20_000 }).toBeGreaterThan(2);
});

describe("what a service says of itself", () => {
  const answered: IqAnswer = { is: "result", stanza: parsed("<iq/>") };
  const setup = (answer: () => Promise<IqAnswer>) => {
    const asked: Element[] = [];
    let state: LinkState = { is: "connecting", attempt: 1, since: 0 };
    const request = (iq: Element): Promise<IqAnswer> => {
      asked.push(iq);
      return answer();
    };
    const info = createServiceInfo({
      requests: requestsTo("pubsub.h"),
      link: { state: () => state, request },
    });
    const begin = (): void => {
      state = { is: "online", jid: "gw@h/r", resumed: false, since: 0 };
    };
    return { info, asked, begin };
  };

  test("is asked for anew in another session, and by who must know how it is now", async () => {
    const { info, asked, begin } = setup(async () => answered);
    await info.said();
    expect(await info.said()).toBe(answered);
    expect(asked).toHaveLength(1);
    await info.ask();
    expect(asked).toHaveLength(2);
    begin();
    await info.said();
    expect(asked).toHaveLength(3);
  });

  test("is asked for again where whoever had asked gave up", async () => {
    const answers: IqAnswer[] = [{ is: "aborted" }, answered];
    const { info, asked } = setup(async () => answers.shift() ?? answered);
    const first = info.ask();
    expect(await info.said()).toBe(answered);
    expect((await first).is).toBe("aborted");
    expect(asked).toHaveLength(2);
  });
});
