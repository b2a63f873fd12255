import type { AckPoint } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { type AckBench, type AckedPublisher, LONELY, openAckBench, type Speaker } from "./real/ack-bench.ts";

// Over real sockets, with the store on disk: no answer leaves before its point (docs/configuration.md, "Acknowledgements").

const SPEAKERS: readonly Speaker[] = ["nomq", "mqtt5", "mqtt3.1.1", "coap"];
const QOS = [1, 2] as const;
const cases = SPEAKERS.flatMap((speaker) => QOS.map((qos) => [speaker, qos] as const));
/** Longer than anything here takes, and for what waits in vain. */
const LONG = 60_000;
const SHORT = 400;
/** Everything that was on its way has come: an answer that must not come has had its time. */
const QUIET_MS = 250;

const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, QUIET_MS));
const DELIVERED = { is: "delivered" } as const;

/** What a publisher is told when not everyone had the message in time. */
const late = (speaker: Speaker): string =>
  ({ nomq: "none", mqtt5: "0x97", "mqtt3.1.1": "cut", coap: "5.04" })[speaker];

/** Asks until it is so: tests that run side by side cannot share `expect.poll`. */
async function until(isSo: () => boolean | Promise<boolean>, everyMs = 10): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, everyMs));
}

const said = (publisher: AckedPublisher, answer: string): Promise<void> =>
  until(() => publisher.answer() === answer);

const given = (bench: AckBench): Promise<void> => until(() => bench.given.length === 1);

describe.concurrent.each(cases)("%s QoS %i", (speaker, qos) => {
  test.each<AckPoint>(["accepted", "stored", "delivered"])("ack: %s, and a store that hangs", async (ack) => {
    await using bench = await openAckBench(ack, LONG);
    bench.answer(DELIVERED);
    await using publisher = await bench.publisher(speaker, qos);
    bench.store.hang();
    await publisher.send();
    if (ack === "accepted") await said(publisher, "ack");
    await quiet();
    expect(publisher.answer()).toBe(ack === "accepted" ? "ack" : "none");
    expect(bench.given).toEqual([]);
    bench.store.heal();
    await said(publisher, "ack");
    await given(bench);
  });

  test.each<AckPoint>(["stored", "delivered"])("ack: %s, and a store that fails: refused", async (ack) => {
    await using bench = await openAckBench(ack, LONG);
    await using publisher = await bench.publisher(speaker, qos);
    bench.store.fail();
    await publisher.send();
    const refused = { nomq: "none", mqtt5: "0x83", "mqtt3.1.1": "cut", coap: "5.03" }[speaker];
    if (speaker !== "nomq") await said(publisher, refused);
    await quiet();
    expect([publisher.answer(), bench.given]).toEqual([refused, []]);
  });

  test.each<AckPoint>(["accepted", "stored"])("ack: %s waits for no peer", async (ack) => {
    await using bench = await openAckBench(ack, SHORT);
    await using publisher = await bench.publisher(speaker, qos);
    await publisher.send();
    await given(bench);
    await said(publisher, "ack");
  });

  test("ack: delivered, and a peer that answers after a while", async () => {
    await using bench = await openAckBench("delivered", LONG);
    await using publisher = await bench.publisher(speaker, qos);
    await publisher.send();
    await given(bench);
    await quiet();
    expect(publisher.answer()).toBe("none");
    bench.answer(DELIVERED);
    await said(publisher, "ack");
    expect(bench.given).toHaveLength(1);
  });

  test("ack: delivered, and a peer that refuses: no ack, at once", async () => {
    await using bench = await openAckBench("delivered", LONG);
    bench.answer({ is: "refused", reason: "not today" });
    await using publisher = await bench.publisher(speaker, qos);
    await publisher.send();
    await given(bench);
    await said(publisher, late(speaker));
    await quiet();
    expect(publisher.answer()).toBe(late(speaker));
  });

  test("ack: delivered, and a peer that never answers: no ack after ackTimeout; the message goes on", async () => {
    await using bench = await openAckBench("delivered", SHORT);
    await using publisher = await bench.publisher(speaker, qos);
    await publisher.send();
    await given(bench);
    await new Promise((resolve) => setTimeout(resolve, SHORT));
    await said(publisher, late(speaker));
    await quiet();
    expect(publisher.answer()).toBe(late(speaker));
  });

  test("nobody wants the channel", async () => {
    for (const ack of ["stored", "delivered"] as const) {
      await using bench = await openAckBench(ack, LONG);
      await using publisher = await bench.publisher(speaker, qos, { channel: LONELY });
      await publisher.send();
      await until(() => publisher.answer() !== "none");
      expect(publisher.answer()).toBe(speaker === "mqtt5" ? "0x10" : "ack");
    }
  });
});

// What names its transfer (CoAP: `?id=`) is told of the first one; MQTT's QoS 1 does not, and MQTT 5 has been told 0x97.
describe.concurrent.each([
  ["nomq", 1],
  ["nomq", 2],
  ["mqtt3.1.1", 2],
  ["coap", 1],
  ["coap", 2],
] as const)("%s QoS %i, sent again", (speaker, qos) => {
  test("after ackTimeout it gets the ack once the peer has the message, which came once", async () => {
    await using bench = await openAckBench("delivered", SHORT);
    await using publisher = await bench.publisher(speaker, qos, { lasting: true });
    await publisher.send();
    await given(bench);
    await new Promise((resolve) => setTimeout(resolve, SHORT));
    await said(publisher, late(speaker));
    await quiet();
    await publisher.send();
    await quiet();
    // On a busy machine it may have been late again by now.
    expect(["none", late(speaker)]).toContain(publisher.answer());
    bench.answer(DELIVERED);
    await until(async () => {
      // As often as a device would, should it have been late again.
      if (publisher.answer() !== "ack") await publisher.send();
      return publisher.answer() === "ack";
    }, SHORT);
    expect(bench.given).toEqual(["m"]);
  });
});
