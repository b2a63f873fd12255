import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createStreamManagement } from "../../src/stream/stream-management.ts";

const runs = process.env["NOMQ_LONG"] ? 20_000 : 500;

describe("XEP-0198: what is sent and what arrived", () => {
  test("an acknowledgement takes away what it covers, and another of the same nothing", () => {
    const management = createStreamManagement({ id: "s", jid: "a@b/c" });
    for (const stanza of ["1", "2", "3"]) management.sent(stanza);
    expect(management.acknowledge("2")).toBe(true);
    expect(management.unacknowledged()).toEqual(["3"]);
    expect(management.acknowledge("2")).toBe(true);
    expect(management.resumable()).toMatchObject({ acknowledged: 2, unacknowledged: ["3"], received: 0 });
  });

  test.each([undefined, "", "-1", "x", "3", "4294967296", "1e1"])(
    "an acknowledgement of %s with two sent is an error of the server's",
    (h) => {
      const management = createStreamManagement({ id: "s", jid: "a@b/c" });
      management.sent("1");
      management.sent("2");
      expect(management.acknowledge(h)).toBe(false);
      expect(management.open()).toBe(2);
    },
  );

  test("section 4: counts go on at zero after 2^32", () => {
    const from = {
      ...{ id: "s", jid: "a@b/c", received: 2 ** 32 - 1, acknowledged: 2 ** 32 - 2 },
      unacknowledged: ["1", "2", "3"],
    };
    const management = createStreamManagement({ id: "s", jid: "a@b/c", from });
    management.countReceived();
    expect(management.received()).toBe(0);
    expect(management.acknowledge("1")).toBe(true);
    expect(management.open()).toBe(0);
  });

  test("without a name there is nothing to resume", () => {
    expect(createStreamManagement({ jid: "a@b/c" }).resumable()).toBeUndefined();
  });

  test("over any cuts and resumptions the server has each stanza once, in order", () => {
    const anyStep = fc.constantFrom("send", "send", "lose", "ask", "resume");
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
        let ours = createStreamManagement({ id: "s", jid: "a@b/c" });
        const arrived: string[] = [];
        let isCut = false;
        let made = 0;
        const resume = (): void => {
          const from = ours.resumable();
          if (from === undefined) throw new Error("nothing to resume");
          ours = createStreamManagement({ ...from, from });
          expect(ours.acknowledge(`${arrived.length}`)).toBe(true);
          arrived.push(...ours.unacknowledged());
          isCut = false;
        };
        for (const each of steps) {
          if (each === "send") {
            const stanza = `${made++}`;
            ours.sent(stanza);
            if (!isCut) arrived.push(stanza);
          }
          if (each === "lose") isCut = true;
          if (each === "ask" && !isCut) expect(ours.acknowledge(`${arrived.length}`)).toBe(true);
          if (each === "resume") resume();
        }
        resume();
        expect(arrived).toEqual(Array.from({ length: made }, (_, at) => `${at}`));
      }),
      { numRuns: runs },
    );
  });
});
