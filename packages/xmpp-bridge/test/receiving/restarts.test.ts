import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foreignXml, gatewayXml, type RestartWorld, restartWorld } from "./restart-world.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;

type Step =
  | { readonly do: "event" | "state"; readonly by: "anyone" | "gateway" }
  | { readonly do: "retract" | "reborn" | "session" }
  | { readonly do: "turns"; readonly many: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "crash"; readonly last: "in" | "out"; readonly away: number }
  | { readonly do: "stop"; readonly away: number };

const by = fc.constantFrom("anyone" as const, "gateway" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("event" as const), by }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("state" as const), by }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("retract", "reborn", "session") }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("turns" as const), many: fc.nat(12) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(0, 499, 600, 61_000) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("crash" as const),
      last: fc.constantFrom("in" as const, "out" as const),
      away: fc.nat(3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stop" as const), away: fc.nat(20) }) },
);

/** Plays steps on one node, and notes which events the gateway must have once. */
class Play {
  readonly due: string[] = [];
  /** Of a node that was deleted, or from before it was ours: once at most. */
  readonly excused: string[] = [];
  private numbers = 0;
  private isOurs = false;
  private readonly it: RestartWorld;

  constructor(it: RestartWorld) {
    this.it = it;
  }

  private event(who: "anyone" | "gateway"): void {
    this.numbers += 1;
    const text = String(this.numbers);
    this.isOurs ||= this.it.nodes.get("n")?.isSubscribed === true;
    (this.isOurs ? this.due : this.excused).push(text);
    this.it.publish("n", `e${text}`, who === "anyone" ? foreignXml(text) : gatewayXml(text));
  }

  private async awayFor(events: number): Promise<void> {
    for (let n = 0; n < events; n += 1) this.event("anyone");
    await this.it.start();
    this.it.online();
  }

  async take(next: Step): Promise<void> {
    const { it } = this;
    switch (next.do) {
      case "event":
        return this.event(next.by);
      case "state": {
        this.numbers += 1;
        const text = `${this.numbers}`;
        return it.publish("n", "current", next.by === "anyone" ? foreignXml(text) : gatewayXml(text));
      }
      case "retract":
        return it.retract("n", "current");
      case "reborn":
        this.excused.push(...this.due.splice(0));
        it.delete("n");
        it.create("n");
        return undefined;
      case "session":
        it.offline();
        this.event("anyone");
        it.online();
        return undefined;
      case "turns":
        return it.turns(next.many);
      case "wait":
        return it.clock.advance(next.ms);
      case "crash":
        it.crash(next.last);
        return this.awayFor(next.away);
      case "stop":
        await it.stop();
        return this.awayFor(next.away);
    }
  }
}

describe("a gateway that is killed at any moment", () => {
  test("has every event since it subscribed once, and the state that the node has", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await using it = await restartWorld("n");
        const play = new Play(it);
        it.publish("n", "old", foreignXml('"old"'));
        it.online();
        for (const each of steps) await play.take(each);
        await it.rest();
        const events = it.texts("n").filter((text) => !text.startsWith("["));
        expect(new Set(events).size, `twice: ${events.join()}`).toBe(events.length);
        expect(play.due.filter((text) => !events.includes(text))).toEqual([]);
        expect(events.filter((text) => ![...play.due, ...play.excused].includes(text))).toEqual([]);
        const state = it.nodes.get("n")?.items.get("current");
        expect(await it.latest("n")).toBe(state && />(.*)</.exec(state)?.[1]);
      }),
      { numRuns: isLong ? 3_000 : 120 },
    );
  });
});
