import { expect, test } from "vitest";
import { describeWithPeers } from "../../../test/peers.ts";
import { startProsody } from "../../../test/real/prosody.ts";
import { requestsTo } from "../src/nodes/pubsub-request.ts";
import { startBridge } from "./bridge-world.ts";
import { connectClient } from "./pubsub-client.ts";

describeWithPeers("what only an operator can mend", ["prosody", "openssl"], () => {
  test("a wrong password is said, and is not tried again and again", async () => {
    await using server = await startProsody();
    await using world = await startBridge(server, { password: "wrong" });
    await world.until("degraded", /not-authorized/);
    expect(world.bridge.status().reason).not.toContain("wrong");
    expect(world.bridge.counts().link?.attempts).toBe(1);
    await world.publish({ channel: "a", text: "1", qos: 1 });
    expect(world.hub.attachments()[0]).toMatchObject({ state: "paused", ledger: { pending: 1 } });
  });

  test("without a pubsub service that is said, and messages wait", async () => {
    await using server = await startProsody({ pubsub: false });
    await using world = await startBridge(server);
    await world.until("degraded", /^pubsub service pubsub\.localhost: ./);
    await world.publish({ channel: "a", text: "1", qos: 1 });
    expect(world.hub.attachments()[0]).toMatchObject({ state: "paused", ledger: { pending: 1 } });
  });

  test("a node that is forbidden refuses its messages and is said", async () => {
    await using server = await startProsody({ admins: ["alice@localhost"] });
    await using alice = await connectClient(server, "alice");
    await alice.create("theirs");
    await using world = await startBridge(server);
    expect(await world.outcome({ channel: "theirs", text: "1", qos: 1 })).toMatch(/^refused: forbidden/);
    await world.until("degraded", /^node "theirs": forbidden/);
  });

  test("what has been mended is found in a new session, and a state that was refused gets there", async () => {
    await using server = await startProsody({ admins: ["alice@localhost"] });
    await using world = await startBridge(server);
    const { affiliate } = requestsTo(server.pubsub);
    {
      await using alice = await connectClient(server, "alice");
      for (const node of ["m/state", "m/events", "m/still"]) await alice.create(node);
      const refused = /^refused: forbidden/;
      expect(await world.outcome({ channel: "m/state", text: "1", qos: 1, retain: true })).toMatch(refused);
      expect(await world.outcome({ channel: "m/events", text: "1", qos: 1 })).toMatch(refused);
      expect(await world.outcome({ channel: "m/still", text: "1", qos: 1, retain: true })).toMatch(refused);
      await world.until("degraded", /and 2 more: forbidden/);
      for (const node of ["m/state", "m/events"])
        await alice.ask(affiliate(node, [{ jid: "gw@localhost", affiliation: "publisher" }]));
    }
    await server.end("SIGTERM");
    await world.until("reconnecting");
    await server.start();
    await world.until("degraded", /^node "m\/still": forbidden/);
    await using alice = await connectClient(server, "alice");
    await expect.poll(() => alice.items("m/state")).toMatchObject([{ id: "current", text: "1" }]);
    expect(await alice.items("m/events")).toEqual([]);
  });

  test("no STARTTLS where TLS is required: nothing is said without it", async () => {
    await using server = await startProsody();
    await using world = await startBridge(server, { tls: { required: true } });
    await world.until("degraded", /TLS|encryption/i);
    expect(server.log()).not.toMatch(/Authenticated as gw@localhost/);
  });

  test("STARTTLS with an own authority", async () => {
    await using server = await startProsody({ tls: true, requireTls: true });
    await using world = await startBridge(server, { tls: { required: true, ca: server.ca } });
    expect(await world.outcome({ channel: "a", text: "1", qos: 1 })).toBe("delivered");
    await using distrusting = await startBridge(server, { tls: { required: true } });
    await distrusting.until("degraded", /certificate/i);
  });
});
