import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IqAnswer } from "../../src/link/link.ts";
import {
  checkNode,
  type Preparation,
  type Prepared,
  prepareNode,
  type Server,
} from "../../src/nodes/prepare-node.ts";
import { requestsTo } from "../../src/nodes/pubsub-request.ts";
import { element } from "../../src/stream/build.ts";
import { parsed } from "../parsed.ts";
import { createEjabberdService, type EjabberdService } from "./ejabberd-service.ts";

const requests = requestsTo("pubsub.test");
const serverOf = (service: Pick<EjabberdService, "ask">): Server => ({
  ...{ requests, ask: service.ask, defaults: undefined, learnt: { rung: 0, made: new Map() } },
});
const wish = (channel: string, more: Partial<Preparation> = {}): Preparation => ({
  ...{ channel, node: channel, keeping: "state", history: 250, access: {} },
  ...more,
});

describe("on ejabberd, where an unknown field is fatal", () => {
  test("a history that is too long is as long as it allows, though it says to wait", async () => {
    const service = createEjabberdService();
    const server = serverOf(service);
    expect(await prepareNode(server, wish("a", { keeping: "history", history: 5_000 }))).toMatchObject({
      ...{ is: "ready", items: 1_000, deviation: "max_items: 1000 instead of 5001" },
    });
    expect(service.asked.filter((asked) => asked === "set create")).toHaveLength(2);
  });

  test("a field that no form of it takes costs each form once", async () => {
    const service = createEjabberdService({ lacks: ["notify_delete"] });
    const server = serverOf(service);
    expect(await prepareNode(server, wish("a"))).toMatchObject({ is: "ready" });
    // Whole, without a number of items, and without a form.
    expect(service.asked.filter((asked) => asked === "set create")).toHaveLength(3);
  });

  test("its retractions are told where we say so, and none of items that the next push out", async () => {
    const service = createEjabberdService();
    await prepareNode(serverOf(service), wish("a", { forcesRetracts: true }));
    expect(service.nodes.get("a")?.get("notify_retract")).toBe("0");
  });

  test("who may not make a node is told so, where it says that there is none", async () => {
    const service = createEjabberdService({ mayCreate: false });
    expect(await prepareNode(serverOf(service), wish("a"))).toEqual({
      ...{ is: "failed", answer: expect.objectContaining({ condition: "forbidden" }) },
    });
  });

  test("a title is set though no form has a field for it", async () => {
    const service = createEjabberdService();
    const server = serverOf(service);
    const channel = `long/${"ä".repeat(150)}`;
    expect(await prepareNode(server, wish(channel))).toMatchObject({ is: "ready", did: "created" });
    expect(service.nodes.get(channel)?.get("title")).toBe(channel);
    const before = service.asked.length;
    expect(await checkNode(server, wish(channel))).toMatchObject({ is: "ready", did: "nothing" });
    expect(service.asked.slice(before)).toEqual(["get configure", "get affiliations"]);
  });

  test("where titles are unknown the node is there without", async () => {
    const service = createEjabberdService({ lacks: ["title"] });
    const channel = `long/${"ä".repeat(150)}`;
    expect(await prepareNode(serverOf(service), wish(channel))).toMatchObject({ is: "ready" });
    expect(service.nodes.get(channel)?.has("title")).toBe(false);
  });

  test("where others may publish too, items say who did", async () => {
    const service = createEjabberdService();
    const access = { publishers: ["bob@test"] };
    await prepareNode(serverOf(service), wish("a", { access }));
    await prepareNode(serverOf(service), wish("b"));
    expect(service.nodes.get("a")?.get("itemreply")).toBe("publisher");
    expect(service.nodes.get("b")?.get("itemreply")).toBe("none");
  });

  test("a form it does not know whole is told from the node's own, and what it offers is set", async () => {
    const service = createEjabberdService({ lacks: ["notification_type"] });
    const server = serverOf(service);
    expect(await prepareNode(server, wish("a"))).toMatchObject({
      is: "ready",
      keeping: "state",
      items: 1,
      did: "created",
    });
    expect(Object.fromEntries(service.nodes.get("a") ?? [])).toMatchObject({
      ...{ notify_delete: "1", max_items: "1", send_last_published_item: "on_sub" },
    });
  });

  test("of nodes that are made alike the first is read back; each that has readers or a title of its own is", async () => {
    const service = createEjabberdService();
    const server = serverOf(service);
    const readBack = async (channel: string, more: Partial<Preparation> = {}): Promise<boolean> => {
      const before = service.asked.length;
      await prepareNode(server, wish(channel, more));
      return service.asked.slice(before).includes("get configure");
    };
    expect([await readBack("a"), await readBack("b"), await readBack("c")]).toEqual([true, false, false]);
    expect(service.nodes.get("c")).toEqual(service.nodes.get("a"));
    const events = { keeping: "history" } as const;
    expect([await readBack("d", events), await readBack("e", events)]).toEqual([true, false]);
    expect(await prepareNode(server, wish("f", events))).toEqual({
      ...{ is: "ready", did: "created", keeping: "history", items: 251 },
    });
    const members = { access: { members: ["bob@test"] } };
    expect([await readBack("g", members), await readBack("h", members)]).toEqual([true, true]);
    const long = `long/${"ä".repeat(150)}`;
    expect([await readBack(`${long}1`), await readBack(`${long}2`)]).toEqual([true, true]);
    // Another session may be another server's.
    expect(await prepareNode(serverOf(service), wish("i"))).toMatchObject({ is: "ready" });
    expect(service.asked.at(-1)).toBe("get configure");
  });

  test("what it refused once is not tried for the next node", async () => {
    const service = createEjabberdService({ lacks: ["deliver_notifications"] });
    const server = serverOf(service);
    await prepareNode(server, wish("a"));
    const before = service.asked.length;
    await prepareNode(server, wish("b"));
    expect(service.asked.slice(before).filter((asked) => asked === "set create")).toHaveLength(1);
  });

  test("a shorter history is taken and said; a node is never lowered", async () => {
    const service = createEjabberdService({ mostItems: 120, lacks: ["deliver_notifications"] });
    const server = serverOf(service);
    await prepareNode(server, wish("a"));
    const raised = await checkNode(server, wish("a", { keeping: "history" }));
    expect(raised).toEqual({
      ...{ is: "ready", keeping: "history", items: 100, did: "configured" },
      deviation: "max_items: 100 instead of 251",
    });
    expect(await checkNode(server, wish("a"))).toMatchObject({
      keeping: "history",
      items: 100,
    });
  });

  test("a node that publishing made by itself is set up; one that is gone is made", async () => {
    const service = createEjabberdService({ lacks: ["deliver_notifications"] });
    const server = serverOf(service);
    await service.ask(requests.create("auto"));
    expect(await prepareNode(server, wish("auto"))).toMatchObject({
      did: "configured",
      keeping: "history",
      items: 1000,
    });
    expect(service.nodes.get("auto")?.get("notify_delete")).toBe("1");
    service.nodes.clear();
    expect(await checkNode(server, wish("auto"))).toMatchObject({ did: "created", items: 1 });
  });
});

test("a node that stays open though it should be a whitelist is not published to", async () => {
  const service = createEjabberdService();
  const deaf: Server = serverOf({
    ask: async (iq) => {
      const answer = await service.ask(iq);
      service.nodes.get("a")?.set("access_model", "open");
      return answer;
    },
  });
  expect(await prepareNode(deaf, wish("a", { access: { members: ["bob@test"] } }))).toMatchObject({
    is: "failed",
    answer: { condition: "configuration-not-kept", text: expect.stringContaining("access_model") },
  });
});

test("somebody else's node is used as it is, and nothing is believed of its room; with members it is not used", async () => {
  const conflict: IqAnswer = { is: "error", type: "cancel", condition: "conflict" };
  const forbidden: IqAnswer = { is: "error", type: "auth", condition: "forbidden" };
  const there: IqAnswer = { is: "result", stanza: element("iq") };
  const prepared = async (answers: IqAnswer[], more: Partial<Preparation> = {}): Promise<Prepared> => {
    const server = serverOf({ ask: async () => answers.shift() ?? forbidden });
    return await prepareNode(server, wish("a", { keeping: "history", ...more }));
  };
  for (const made of [conflict, forbidden]) {
    expect(await prepared([made, forbidden, there])).toEqual({
      ...{ is: "ready", keeping: "history", items: 1, did: "nothing", isForeign: true },
    });
    expect(await prepared([made, forbidden, there], { access: { members: [] } })).toMatchObject({
      ...{ is: "failed", answer: { condition: "not-owner" } },
    });
    expect(await prepared([made, forbidden, forbidden])).toEqual({ is: "failed", answer: forbidden });
  }
});

test("whatever a server answers, it ends within a few requests, and ready only where a form was read", async () => {
  const conditions = [
    "conflict",
    "forbidden",
    "item-not-found",
    "bad-request",
    "not-acceptable",
    "resource-constraint",
  ];
  const form = (items: string, access: string): string =>
    `<iq><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure><x xmlns='jabber:x:data'>
    <field var='pubsub#max_items'><value>${items}</value></field>
    <field var='pubsub#access_model'><value>${access}</value></field></x></configure></pubsub></iq>`;
  const answer: fc.Arbitrary<IqAnswer> = fc.oneof(
    fc.constant({ is: "result" as const, stanza: element("iq") }),
    fc
      .tuple(fc.constantFrom("1", "20", "max", "", "-1", "x"), fc.constantFrom("open", "whitelist"))
      .map(([items, access]) => ({ is: "result" as const, stanza: parsed(form(items, access)) })),
    fc
      .tuple(fc.constantFrom(...conditions), fc.constantFrom("wait", "cancel", "modify"))
      .map(([condition, type]): IqAnswer => ({ is: "error", type: type as "wait" | "cancel", condition })), // One of them.
    fc.constantFrom<IqAnswer>({ is: "unanswered" }, { is: "aborted" }, { is: "poison", reason: "x" }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { minLength: 1, maxLength: 12 }),
      fc.constantFrom("state" as const, "history" as const),
      async (answers, keeping) => {
        let asked = 0;
        let forms = 0;
        const server = serverOf({
          async ask() {
            const next = answers[asked++ % answers.length] ?? { is: "aborted" as const };
            if (next.is === "result" && next.stanza.children.length > 0) forms += 1;
            return next;
          },
        });
        const end = await checkNode(server, wish("a", { keeping }));
        expect(asked).toBeLessThan(30);
        if (end.is === "ready" && end.isForeign !== true) {
          expect(forms).toBeGreaterThan(0);
          expect(end.items).toBeGreaterThanOrEqual(0);
          if (keeping === "history") expect(end.keeping).toBe("history");
        }
      },
    ),
    { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 500 },
  );
});
