import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Remote } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { endpoint } from "./toy-messaging.ts";
import { ANN, BEN, createWorld, isNewer, read, token, type World } from "./world.ts";

/** What happens to a network of three endpoints that observe two channels. */
type Step =
  | { do: "register"; who: number; name: number; channel: number; wish: "con" | "non" | "all" }
  | { do: "cancel"; who: number; name: number }
  | { do: "publish" | "put"; channel: number; retain: boolean }
  | { do: "clear" | "delete"; channel: number }
  | { do: "acknowledge" | "reset" | "give up" | "repeat"; who: number }
  | { do: "wait"; ms: number }
  | { do: "restart"; how: "stop" | "kill" };

const REMOTES: readonly Remote[] = [ANN, BEN, endpoint(1003)];
const who = fc.nat(2);
const channel = fc.nat(1);
const name = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ do: fc.constant("register" as const), who, name, channel },
      wish: fc.constantFrom("con" as const, "con" as const, "non" as const, "all" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), who, name }) },
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constantFrom("publish" as const, "put" as const),
      ...{ channel, retain: fc.boolean() },
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const), channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), channel }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("repeat" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("give up" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(70_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      how: fc.constantFrom("stop" as const, "kill" as const),
    }),
  },
);

/** What the model knows of one relation. */
interface Known {
  readonly channel: string;
  readonly wish: "con" | "non" | "all";
  observe: number;
  /** The last value it was told, as a number; 0 for none. */
  last: number;
  /** What was published to it since it registered, and what of it it was told, both in order. */
  readonly owed: number[];
  readonly told: number[];
  /** Its process, or ours, was away: what was owed then may be lost. */
  hasGap: boolean;
}

class Model {
  readonly world: World;
  readonly relations = new Map<string, Known>();
  /** Relations whose channel was deleted: who has not acknowledged that has them again after a restart. */
  readonly ended = new Set<string>();
  readonly states = new Map<string, number>();
  /** Channels on which an event came after the last change of the state: it is what observers heard last. */
  readonly eventful = new Set<string>();
  private value = 0;

  constructor(world: World) {
    this.world = world;
  }

  async run(all: readonly Step[]): Promise<void> {
    for (const one of all) {
      await this.apply(one);
      await this.listen();
      this.balance();
    }
    await this.rest();
  }

  private async apply(one: Step): Promise<void> {
    const { world } = this;
    switch (one.do) {
      case "register":
        return this.register(one);
      case "cancel":
        world.observers.cancel(at(one.who), token(`${one.name}`));
        this.relations.delete(keyOf(one.who, one.name));
        return;
      case "publish":
      case "put":
        return this.publish(one);
      case "clear":
        await world.publish(nameOf(one.channel), "");
        this.states.delete(nameOf(one.channel));
        this.eventful.delete(nameOf(one.channel));
        return;
      case "delete":
        await world.remove(nameOf(one.channel));
        this.states.delete(nameOf(one.channel));
        for (const [key, { channel }] of this.relations) {
          if (channel !== nameOf(one.channel)) continue;
          this.relations.delete(key);
          this.ended.add(key);
        }
        return;
      case "repeat":
        world.net.repeat(at(one.who));
        return;
      case "wait":
        return world.clock.advance(one.ms);
      case "restart":
        await world.restart(one.how);
        for (const known of this.relations.values()) known.hasGap = true;
        return;
      case "acknowledge":
      case "reset":
      case "give up":
        return this.answer(one.do, one.who);
    }
  }

  private async register({ who, name, channel, wish }: Step & { do: "register" }): Promise<void> {
    const confirmable = wish !== "non";
    const key = keyOf(who, name);
    this.relations.delete(key);
    this.ended.delete(key);
    const said = await this.world.register(at(who), `${name}`, nameOf(channel), {
      confirmable,
      all: wish === "all",
    });
    expect(said.text).toBe(textOf(this.states.get(nameOf(channel))));
    expect(said.observe).toBeDefined();
    const known = { channel: nameOf(channel), wish, observe: said.observe ?? 0, hasGap: false };
    this.relations.set(key, { ...known, last: Number(said.text), owed: [], told: [] });
  }

  private async publish({ do: how, channel, retain }: Step & { do: "publish" | "put" }): Promise<void> {
    this.value += 1;
    for (const known of this.relations.values()) {
      if (known.channel === nameOf(channel)) known.owed.push(this.value);
    }
    if (retain) this.states.set(nameOf(channel), this.value);
    this.eventful[retain ? "delete" : "add"](nameOf(channel));
    await this.world[how](nameOf(channel), `${this.value}`, { retain });
  }

  private async answer(how: "acknowledge" | "reset" | "give up", who: number): Promise<void> {
    const { net } = this.world;
    if (how === "give up") {
      const isAny = net.heard.some(({ to, type }) => to === at(who) && type === MessageType.confirmable);
      if (!isAny || net.openTo(at(who)) === 0) return;
      net.timeOut(at(who));
      for (const key of this.relations.keys()) if (key.startsWith(`${who}/`)) this.relations.delete(key);
      return;
    }
    const last = net.heard.findLast(({ to, type }) => to === at(who) && type === MessageType.confirmable);
    if (last === undefined || net.openTo(at(who)) === 0) return;
    if (how === "acknowledge") last.acknowledge();
    else {
      last.reset();
      if (last.code === Response.content) this.relations.delete(`${who}/${Buffer.from(last.token)}`);
    }
  }

  /** What went out is newer than what went before, and to somebody who is there. */
  private async listen(): Promise<void> {
    for (const heard of await this.world.take()) {
      const { code, observe, text } = read(heard);
      if (code !== Response.content) {
        expect(observe).toBeUndefined();
        continue;
      }
      const key = `${REMOTES.indexOf(heard.to)}/${Buffer.from(heard.token)}`;
      const known = this.relations.get(key);
      // What was sent before its relation ended in the same step.
      if (known === undefined) continue;
      const isRepeated = observe === known.observe;
      if (!isRepeated) expect(isNewer(observe ?? -1, known.observe)).toBe(true);
      known.observe = observe ?? -1;
      known.last = Number(text);
      if (!isRepeated && text !== "") known.told.push(Number(text));
    }
  }

  private balance(): void {
    const { ledger, observers } = this.world.observers.counts();
    const lost = Object.values(ledger.dropped).reduce((sum, count) => sum + count, 0);
    const ended = ledger.delivered + ledger.coalesced + ledger.expired + lost;
    expect(ended + ledger.pending).toBe(ledger.accepted);
    expect(observers).toBeGreaterThanOrEqual(this.relations.size);
    expect(observers).toBeLessThanOrEqual(this.relations.size + this.ended.size);
  }

  private async drain(): Promise<void> {
    const { net } = this.world;
    for (let round = 0; round < 80 && net.open() > 0; round += 1) {
      for (const remote of REMOTES) {
        const last = net.heard.findLast(({ to, type }) => to === remote && type === MessageType.confirmable);
        if (net.openTo(remote) > 0) last?.acknowledge();
      }
      await this.listen();
    }
  }

  /** Everybody answers: nothing is pending, and everybody knows the state. */
  private async rest(): Promise<void> {
    const { world } = this;
    await this.drain();
    this.balance();
    expect(world.observers.counts().ledger.pending).toBe(0);
    for (const { wish, owed, told, hasGap } of this.relations.values()) {
      const published = told.filter((value) => owed.includes(value));
      // The state may be told again between, as a refresh.
      if (wish === "all" && !hasGap) expect([...new Set(published)]).toEqual(owed);
    }
    // A change reaches everybody by itself, also over a restart; no refresh has to mend it.
    for (const { channel, wish, last } of this.relations.values()) {
      if (wish !== "all" && !this.eventful.has(channel)) expect(last).toBe(this.states.get(channel) ?? 0);
    }
    await world.clock.advance(60_000);
    await this.listen();
    await this.drain();
    for (const { channel, last } of this.relations.values()) expect(last).toBe(this.states.get(channel) ?? 0);
  }
}

const at = (index: number): Remote => REMOTES[index] ?? ANN;
const nameOf = (index: number): string => `channel/${index}`;
const keyOf = (index: number, name: number): string => `${index}/${name}`;
const textOf = (value: number | undefined): string => (value === undefined ? "" : `${value}`);

describe("observers, against a model", () => {
  test("whatever happens: newer after older, nobody forgotten, everything accounted for", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        await using world = await createWorld();
        await new Model(world).run(steps);
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 3_000 : 100 },
    );
  });
});
