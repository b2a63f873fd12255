import { describe, expect, test } from "vitest";
import type { Outgoing, SentOutcome } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { createLab, empty, hexes, type Lab, send, textOf, times, write } from "./lab.ts";

describe("RFC 7252 §5.3: requests of ours", () => {
  const get: Outgoing = { type: MessageType.confirmable, code: 1, token: Uint8Array.of(0xa1) };

  function request(lab: Lab): { responses: string[]; told: SentOutcome[]; messageId: number; end(): void } {
    const responses: string[] = [];
    const { end } = lab.messaging.expect(lab.remote(), get.token, (response) =>
      responses.push(textOf(response)),
    );
    const { told } = send(lab, () => get);
    return { responses, told, messageId: lab.said()[0]?.messageId ?? 0, end };
  }

  test("§5.2.1: a piggybacked response acknowledges and is told once", async () => {
    await using lab = createLab();
    const { responses, told, messageId } = request(lab);
    const response = write({ type: "ack", code: "2.05", messageId, payload: "21" });
    expect([...lab.ask(response), ...lab.ask(response)]).toEqual([]);
    expect({ responses, told }).toEqual({ responses: ["21"], told: ["acknowledged"] });
  });

  test("§5.3.2: the wrong token, message id, address or port is no response to it", async () => {
    await using lab = createLab();
    const { responses, told, messageId } = request(lab);
    lab.ask(write({ type: "ack", code: "2.05", messageId, token: "a2", payload: "x" }));
    lab.ask(write({ type: "ack", code: "2.05", messageId: messageId ^ 1, payload: "x" }));
    lab.ask(write({ type: "ack", code: "2.05", messageId, payload: "x" }), { port: 40_001 });
    lab.ask(write({ type: "ack", code: "2.05", messageId, payload: "x" }), { host: "127.0.0.2" });
    expect(hexes(lab.ask(write({ code: "2.05", messageId: 9, payload: "x" }), { port: 40_001 }))).toEqual([
      "70000009",
    ]);
    expect({ responses, told }).toEqual({ responses: [], told: [] });
  });

  test("§5.2.2: a separate CON response is acknowledged, also its copies, and told once", async () => {
    await using lab = createLab();
    const { responses, told, messageId } = request(lab);
    lab.ask(empty("ack", messageId));
    const separate = write({ code: "2.05", messageId: 9, payload: "21" });
    expect(hexes([...lab.ask(separate), ...lab.ask(separate)])).toEqual(["60000009", "60000009"]);
    expect({ responses, told }).toEqual({ responses: ["21"], told: ["acknowledged"] });
  });

  test("§5.2.2: a response that overtakes the acknowledgement ends the repetitions", async () => {
    await using lab = createLab();
    const { responses, told } = request(lab);
    lab.ask(write({ type: "non", code: "2.05", messageId: 9, payload: "21" }));
    expect({ responses, told }).toEqual({ responses: ["21"], told: ["acknowledged"] });
    expect(await times(lab, 100_000)).toEqual([]);
  });

  test("RFC 7641 §3.5, 3.6: notifications come under the same token until it is not expected any more; then they are reset", async () => {
    await using lab = createLab();
    const { responses, end } = request(lab);
    for (const [at, payload] of ["1", "2", "2"].entries()) {
      lab.ask(write({ type: "non", code: "2.05", messageId: Math.min(at, 1), payload }));
    }
    expect(responses).toEqual(["1", "2"]);
    end();
    end();
    expect(hexes(lab.ask(write({ type: "non", code: "2.05", messageId: 5, payload: "3" })))).toEqual([
      "70000005",
    ]);
    expect(responses).toEqual(["1", "2"]);
  });

  test("§5.4.1: a response with a critical option we do not know is reset", async () => {
    await using lab = createLab();
    const { responses } = request(lab);
    expect(hexes(lab.ask(write({ code: "2.05", messageId: 9, options: [[2049, ""]] })))).toEqual([
      "70000009",
    ]);
    expect(responses).toEqual([]);
  });

  test("without a server, requests are reset or ignored", async () => {
    const lab = createLab();
    await using messaging = (await import("../../src/messaging/create-messaging.ts")).createMessaging({
      clock: lab.clock,
    });
    messaging.listen(lab.socket);
    expect(hexes(lab.ask(write()))).toEqual(["70001234"]);
    expect(lab.ask(write({ type: "non" }))).toEqual([]);
  });
});
