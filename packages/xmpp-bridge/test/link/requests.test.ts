import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IqAnswer } from "../../src/link/link.ts";
import { createRequests, type Requests } from "../../src/link/requests.ts";
import { element } from "../../src/stream/build.ts";
import type { Element } from "../../src/stream/element.ts";

const runs = process.env["NOMQ_LONG"] ? 20_000 : 500;

const result = (id: string): Element => element("iq", { type: "result", id });

interface Desk {
  readonly requests: Requests;
  readonly answers: ReadonlyMap<string, IqAnswer[]>;
  ask(id: string, first?: boolean): boolean;
}

function desk(window = 3, maxWaiting = 100): Desk {
  const requests = createRequests({ window, maxWaiting, isFrom: (from) => from === undefined });
  const answers = new Map<string, IqAnswer[]>();
  return {
    requests,
    answers,
    ask(id, first = false) {
      answers.set(id, []);
      const settle = (answer: IqAnswer): void => void answers.get(id)?.push(answer);
      return requests.add({ id, text: id, to: undefined, timeoutMs: 100, settle }, first);
    },
  };
}

describe("requests in a window", () => {
  test("go out in order, no more at once than the window, the next with each answer", () => {
    const { requests, ask } = desk();
    for (const id of ["a", "b", "c", "d", "e"]) ask(id);
    expect(requests.take(0)).toEqual(["a", "b", "c"]);
    expect(requests.take(0)).toEqual([]);
    requests.answer(result("b"));
    expect(requests.take(0)).toEqual(["d"]);
    expect(requests.counts).toMatchObject({ open: 3, waiting: 1 });
  });

  test("those asked to be first go ahead, among them in order", () => {
    const { requests, ask } = desk();
    for (const id of ["a", "b"]) ask(id);
    for (const id of ["1", "2"]) ask(id, true);
    expect(requests.take(0)).toEqual(["1", "2", "a"]);
  });

  test("after a new session are sent again in order, ahead of the rest, each with one answer", () => {
    const { requests, ask, answers } = desk();
    for (const id of ["a", "b", "c", "d"]) ask(id);
    requests.take(0);
    requests.answer(result("b"));
    ask("1", true);
    requests.lost({ blamed: false, reason: "" });
    expect(requests.replay()).toBe(2);
    expect(requests.take(0)).toEqual(["a", "c", "1"]);
    for (const id of ["a", "c", "1", "a"]) requests.answer(result(id));
    expect(requests.take(0)).toEqual(["d"]);
    expect([...answers.values()].map((each) => each.length)).toEqual([1, 1, 1, 0, 1]);
  });

  test("after a resumption are not sent again and have their full time", () => {
    const { requests, ask, answers } = desk();
    ask("a");
    requests.take(0);
    requests.lost({ blamed: false, reason: "" });
    requests.resumed(99);
    expect(requests.take(99)).toEqual([]);
    expect(requests.expire(198)).toBe(199);
    expect(requests.expire(199)).toBeUndefined();
    expect(answers.get("a")).toEqual([{ is: "unanswered" }]);
  });

  test("answers of somebody else than who was asked are none", () => {
    const { requests, ask, answers } = desk();
    ask("a");
    requests.take(0);
    const forged = element("iq", { type: "result", id: "a", from: "mallory@localhost/x" });
    expect(requests.answer(forged)).toBeUndefined();
    expect(requests.answer(result("b"))).toBeUndefined();
    expect(answers.get("a")).toEqual([]);
  });

  test("beyond as many as may wait are not taken", () => {
    const { ask } = desk(1, 2);
    expect([ask("a"), ask("b"), ask("c")]).toEqual([true, true, false]);
  });

  test("given up while sent, keep their place until the answer and are not sent again", () => {
    const { requests, ask, answers } = desk(1);
    for (const id of ["a", "b", "c"]) ask(id);
    requests.take(0);
    requests.abort("a");
    requests.abort("c");
    expect(requests.take(0)).toEqual([]);
    expect(requests.replay()).toBe(0);
    expect(requests.take(0)).toEqual(["b"]);
    requests.abort("b");
    requests.answer(result("b"));
    requests.close();
    for (const each of answers.values()) expect(each).toEqual([{ is: "aborted" }]);
  });
});

describe("a stanza that kills the stream", () => {
  const dies = { blamed: true, reason: "policy-violation" };
  const breaks = { blamed: false, broke: true, reason: "ECONNRESET" };

  test("is found too where the server's word of it was lost on the way, once it has come through", () => {
    const { requests, ask, answers } = desk(3);
    for (const id of ["poison", "a"]) ask(id);
    for (const lost of [breaks, dies, breaks]) {
      requests.take(0);
      requests.lost(lost);
      requests.replay();
    }
    expect(answers.get("poison")).toEqual([]);
    expect(requests.take(0)).toEqual(["poison"]);
    requests.lost(breaks);
    requests.replay();
    expect(answers.get("poison")).toEqual([{ is: "poison", reason: "ECONNRESET" }]);
    expect(requests.take(0)).toEqual(["a"]);
    requests.answer(result("a"));
    expect(requests.counts.poisoned).toBe(1);
  });

  test("where no word ever comes it is given up once no bad line explains it, and nothing else is", () => {
    const { requests, ask, answers } = desk(3);
    for (const id of ["a", "poison", "b"]) ask(id);
    let sessions = 0;
    for (; answers.get("poison")?.length === 0 && sessions < 100; sessions += 1) {
      const sent = requests.take(0);
      // It breaks before anything is answered, unless that goes alone.
      if (sent.length === 1 && sent[0] !== "poison") {
        requests.answer(result(sent[0] ?? ""));
        requests.take(0);
      }
      requests.lost(breaks);
      requests.replay();
    }
    expect(sessions).toBeGreaterThan(20);
    expect(sessions).toBeLessThan(30);
    expect(requests.take(0)).toEqual(["b"]);
    requests.answer(result("b"));
    expect([...answers.values()].map(([each]) => each?.is)).toEqual(["result", "poison", "result"]);
  });

  test("resumed sessions that break are of no stanza's doing", () => {
    const { requests, ask, answers } = desk(3);
    ask("a");
    requests.take(0);
    for (let count = 0; count < 100; count += 1) {
      requests.lost(breaks);
      requests.resumed(0);
    }
    requests.replay();
    expect(answers.get("a")).toEqual([]);
  });

  test("is found alone and given up at its second death; its neighbours arrive in order", () => {
    const { requests, ask, answers } = desk(3);
    for (const id of ["a", "poison", "b", "c"]) ask(id);
    expect(requests.take(0)).toEqual(["a", "poison", "b"]);
    requests.lost(dies);
    requests.replay();
    expect(requests.take(0)).toEqual(["a"]);
    requests.answer(result("a"));
    expect(requests.take(0)).toEqual(["poison"]);
    requests.lost(dies);
    requests.replay();
    expect(answers.get("poison")).toEqual([{ is: "poison", reason: "policy-violation" }]);
    expect(requests.take(0)).toEqual(["b"]);
    requests.answer(result("b"));
    expect(requests.take(0)).toEqual(["c"]);
    expect(requests.counts.poisoned).toBe(1);
  });

  test("an error of the stream that no stanza brought about takes nothing away", () => {
    const { requests, ask, answers } = desk(3);
    for (const id of ["a", "b", "c", "d"]) ask(id);
    requests.take(0);
    requests.lost(dies);
    requests.replay();
    for (const id of ["a", "b", "c"]) {
      expect(requests.take(0)).toEqual([id]);
      requests.answer(result(id));
    }
    expect(requests.take(0)).toEqual(["d"]);
    expect(answers.get("c")).toMatchObject([{ is: "result" }]);
  });

  test("a connection that only breaks makes nothing suspect, however often", () => {
    const { requests, ask, answers } = desk(1);
    ask("a");
    for (let time = 0; time < 10; time += 1) {
      expect(requests.take(0)).toEqual(["a"]);
      requests.lost({ blamed: false, reason: "reset" });
      requests.replay();
    }
    expect(answers.get("a")).toEqual([]);
  });
});

type Event = "ask" | "first" | "answer" | "cut" | "resume";
const anyEvents = fc.array(
  fc.constantFrom<Event>("ask", "ask", "ask", "first", "answer", "answer", "cut", "resume"),
  { maxLength: 60 },
);

test("whatever happens, every request ends exactly once, only the poison as poison, in the order asked", () => {
  fc.assert(
    fc.property(anyEvents, fc.nat(20), fc.integer({ min: 1, max: 5 }), (events, poison, window) => {
      const { requests, ask, answers } = desk(window);
      /** What the server has and has not answered; it dies of the poison. */
      let sent: string[] = [];
      const done: string[] = [];
      let made = 0;
      const send = (): void => {
        sent.push(...requests.take(0));
        expect(requests.counts.open).toBeLessThanOrEqual(window);
        if (!sent.includes(`${poison}`)) return;
        while (sent[0] !== `${poison}`) answer();
        die(true);
      };
      const die = (blamed: boolean): void => {
        sent = [];
        requests.lost({ blamed, reason: "x" });
        requests.replay();
        send();
      };
      const answer = (): void => {
        const id = sent.shift();
        if (id === undefined) return;
        done.push(id);
        requests.answer(result(id));
      };
      const act: Record<Event, () => void> = {
        ask: () => void ask(`${made++}`),
        first: () => void ask(`f${made++}`, true),
        answer,
        cut: () => die(false),
        resume: () => requests.resumed(0),
      };
      for (const event of events) {
        act[event]();
        send();
      }
      while (sent.length > 0) {
        answer();
        send();
      }
      expect(requests.counts).toMatchObject({ open: 0, waiting: 0 });
      for (const [id, each] of answers)
        expect(each.map((one) => one.is)).toEqual([id === `${poison}` ? "poison" : "result"]);
      const ordinary = done.filter((id) => !id.startsWith("f")).map(Number);
      expect(ordinary).toEqual(ordinary.toSorted((a, b) => a - b));
    }),
    { numRuns: runs },
  );
});
