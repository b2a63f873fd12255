import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { type Ask, type Served, serveHub, type Told } from "./serve-harness.ts";

interface Value {
  readonly text: string;
  readonly format: number | undefined;
  readonly etag: string;
  readonly endsAt: number;
}

type Step =
  | {
      readonly do: "put" | "post";
      readonly channel: string;
      readonly text: string;
      readonly format: number | undefined;
      readonly ttl: number | undefined;
      readonly retain: boolean | undefined;
      readonly condition: "none" | "match" | "match-any" | "match-old" | "none-match";
    }
  | { readonly do: "delete"; readonly channel: string }
  | { readonly do: "other"; readonly channel: string; readonly text: string }
  | { readonly do: "wait"; readonly ms: number };

const channel = fc.constantFrom("a", "a/b", "c");
const text = fc.constantFrom("", "1", "two", "[3]");
const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constantFrom("put" as const, "post" as const),
      ...{ channel, text },
      format: fc.constantFrom(undefined, 0, 50, 9_999),
      ttl: fc.constantFrom(undefined, undefined, 0, 1, 5),
      retain: fc.constantFrom(undefined, undefined, true, false),
      condition: fc.constantFrom(
        ...(["none", "none", "none", "match", "match-any", "match-old", "none-match"] as const),
      ),
    }),
    fc.record({ do: fc.constant("delete" as const), channel }),
    fc.record({ do: fc.constant("other" as const), channel, text }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 500, 1_000, 4_000) }),
  ),
  { maxLength: 25 },
);
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

/** What a resource should be, beside what it is. */
class Model {
  readonly #served: Served;
  readonly #values = new Map<string, Value>();
  readonly #etags = new Set<string>();
  #old = "00";

  constructor(served: Served) {
    this.#served = served;
  }

  at(name: string): Value | undefined {
    const value = this.#values.get(name);
    return value !== undefined && value.endsAt > this.#served.clock.now() ? value : undefined;
  }

  async run(step: Step): Promise<void> {
    if (step.do === "wait") await this.#served.clock.advance(step.ms);
    else if (step.do === "delete") {
      expect((await this.#served.ask("delete", { path: step.channel })).code).toBe("2.02");
      this.#values.delete(step.channel);
    } else if (step.do === "other") {
      const payload = Buffer.from(step.text);
      await this.#served.port.publish({ channel: step.channel, payload, retain: true }, "*");
      await this.#set(step.channel, { text: step.text, format: undefined, endsAt: Number.POSITIVE_INFINITY });
    } else await this.#write(step);
    for (const name of ["a", "a/b", "c"]) await this.#check(name);
  }

  async #write(step: Extract<Step, { do: "put" | "post" }>): Promise<void> {
    const before = this.at(step.channel);
    const told = await this.#served.ask(step.do, this.#asked(step));
    const isMet =
      step.condition === "none" ||
      (step.condition === "none-match" && before === undefined) ||
      (step.condition.startsWith("match") && step.condition !== "match-old" && before !== undefined);
    const retains = step.retain ?? step.do === "put";
    expect(told.code).toBe(
      !isMet ? "4.12" : retains && step.text !== "" && before === undefined ? "2.01" : "2.04",
    );
    if (!isMet || !retains) return;
    const endsAt =
      step.ttl === undefined ? Number.POSITIVE_INFINITY : this.#served.clock.now() + step.ttl * 1_000;
    await this.#set(step.channel, { text: step.text, format: step.format, endsAt });
  }

  #asked({
    channel: path,
    text: payload,
    format,
    ttl,
    retain,
    condition,
  }: Extract<Step, { do: "put" | "post" }>): Ask {
    const has = Buffer.from(this.at(path)?.etag ?? "ff", "hex");
    const { ifMatch, ifNoneMatch, contentFormat } = OptionNumber;
    const conditions: Readonly<Record<typeof condition, readonly (readonly [number, Uint8Array])[]>> = {
      none: [],
      match: [[ifMatch, has]],
      "match-any": [[ifMatch, new Uint8Array()]],
      "match-old": [[ifMatch, Buffer.from(this.#old, "hex")]],
      "none-match": [[ifNoneMatch, new Uint8Array()]],
    };
    return {
      ...{ path, payload },
      query: [
        ...(ttl === undefined ? [] : [`ttl=${ttl}`]),
        ...(retain === undefined ? [] : [`retain=${retain}`]),
      ],
      options: [
        ...conditions[condition],
        ...(format === undefined ? [] : [[contentFormat, format] as const]),
      ],
    };
  }

  /** The ETag of a value is whatever it is, but no value before had it. */
  async #set(name: string, value: Omit<Value, "etag">): Promise<void> {
    // A value that never was has none: an empty If-Match stands for any.
    this.#old = this.#values.get(name)?.etag || this.#old;
    if (value.text === "") {
      this.#values.delete(name);
      return;
    }
    const etag = hex((await this.#served.ask("get", { path: name })).etag);
    if (value.endsAt > this.#served.clock.now()) {
      expect(this.#etags.has(etag)).toBe(false);
      this.#etags.add(etag);
    }
    this.#values.set(name, { ...value, etag });
  }

  async #check(name: string): Promise<void> {
    const value = this.at(name);
    const told: Told = await this.#served.ask("get", { path: name });
    if (value === undefined) {
      expect(told).toMatchObject({ code: "4.04", maxAge: undefined, etag: undefined });
      return;
    }
    const { text: expected, format, endsAt, etag } = value;
    const left = endsAt - this.#served.clock.now();
    const maxAge = Number.isFinite(left) ? Math.ceil(left / 1_000) : 60;
    expect(told).toMatchObject({ code: "2.05", text: expected, format, maxAge });
    expect(hex(told.etag)).toBe(etag);
  }
}

describe("resources", () => {
  test("are what was written to them, whoever wrote it, whatever came between and however long it took", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (todo) => {
        await using served = await serveHub();
        const model = new Model(served);
        for (const step of todo) await model.run(step);
        expect(served.counters.read().failures).toEqual({});
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 1_500 : 60 },
    );
  });

  test("answer any request: no method, path, query, option or body makes one fail", async () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
    const part = fc.oneof(bytes(6), fc.constantFrom("a", "", "b", "$SYS", "#", ".."));
    const numbers = fc.constantFrom(...Object.values(OptionNumber), 9, 2_050);
    const asked = fc.record({
      method: fc.oneof(fc.constantFrom(1, 2, 3, 4), fc.nat(31)),
      path: fc.array(part, { maxLength: 4 }),
      query: fc.array(fc.oneof(part, fc.constantFrom("qos=1", "ttl=1", "retain=1", "id=x")), {
        maxLength: 3,
      }),
      options: fc.array(fc.tuple(numbers, bytes(8)), { maxLength: 4 }),
      payload: bytes(24),
      type: fc.constantFrom("con" as const, "non" as const),
    });
    await using served = await serveHub();
    await fc.assert(
      fc.asyncProperty(asked, async ({ method, ...ask }) => {
        const told = await served.ask(method, ask);
        expect(told.code).toMatch(/^[245]\.\d\d$/);
        expect(served.counters.read().failures).toEqual({});
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 60_000 : 3_000 },
    );
  });
});
