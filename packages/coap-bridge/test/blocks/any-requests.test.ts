import fc from "fast-check";
import { expect, test } from "vitest";
import type { BlockOption } from "../../src/wire/block-option.ts";
import { Method } from "../../src/wire/code.ts";
import { type Asking, bodyOf, codeOf, createToyServer, etag } from "./toy-server.ts";

const runs = { numRuns: process.env["NOMQ_LONG"] ? 6000 : 300, seed: 7959 };

const EVEN = bodyOf(70_000, 0);
const BODIES = [EVEN, bodyOf(70_000, 1)];

/** What one upload should have become, told as simply as can be. */
class Model {
  readonly ran: Buffer[] = [];
  #held: Buffer | undefined;
  #last: { readonly at: number; readonly payload: Buffer } | undefined;

  /** The code that a block must be answered with. */
  take({ num, more, szx }: BlockOption, payload: Buffer): string {
    const size = 16 << szx;
    const at = num * size;
    if (szx === 7) return "4.00";
    if (more ? payload.length !== size : payload.length > size) return this.#over("4.00");
    if (num === 0) this.#begin();
    if (this.#held === undefined) return this.#isLast(at, more, payload) ? "2.04" : "4.08";
    if (at > this.#held.length) return this.#over("4.08");
    if (at < this.#held.length) {
      const same = this.#held.subarray(at, at + payload.length).equals(payload);
      return same && more ? "2.31" : this.#over("4.08");
    }
    this.#held = Buffer.concat([this.#held, payload]);
    if (more) return "2.31";
    this.ran.push(this.#held);
    if (num > 0) this.#last = { at, payload };
    return this.#over("2.04");
  }

  #begin(): void {
    this.#held = Buffer.alloc(0);
    this.#last = undefined;
  }

  #over(code: string): string {
    this.#held = undefined;
    return code;
  }

  #isLast(at: number, more: boolean, payload: Buffer): boolean {
    return !more && this.#last?.at === at && this.#last.payload.equals(payload);
  }
}

const endpoint = fc.constantFrom("one", "two");
const step = fc.record({
  from: endpoint,
  num: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 5 }) },
    { weight: 1, arbitrary: fc.constant(1_048_575) },
  ),
  more: fc.boolean(),
  szx: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 7 }) },
  ),
  seed: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  short: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -1, max: 16 }) },
  ),
});

test("whatever blocks come, in whatever order: each is answered as a naive model says, and what ran is what was whole", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      const server = createToyServer();
      const models = new Map<string, Model>();
      for (const { from, num, more, szx, seed, short } of steps) {
        const size = Math.min(16 << szx, 1024);
        const start = (num % 64) * size;
        const payload = Buffer.from(
          (BODIES[seed] ?? EVEN).subarray(start, start + Math.max(0, size - short)),
        );
        const model = models.get(from) ?? new Model();
        models.set(from, model);
        const block1 = { num, more, szx };
        const answer = await server.ask({ from, code: Method.put, block1, payload });
        expect(codeOf(answer)).toBe(model.take(block1, payload));
      }
      const ran = [...models.values()].flatMap((model) => model.ran);
      const bodies = server.ran.map(({ body }) => Buffer.from(body));
      expect(bodies.toSorted(Buffer.compare)).toEqual(ran.toSorted(Buffer.compare));
      await server.clock.advance(93_000);
      expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0 });
      expect(server.clock.pending()).toBe(0);
    }),
    runs,
  );
});

test("whatever is asked for in Block2: the bytes of one version at their place, or a refusal, within the bounds", async () => {
  const asking = fc.record({
    from: endpoint,
    num: fc.integer({ min: 0, max: 40 }),
    szx: fc.integer({ min: 0, max: 7 }),
    change: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(asking, { minLength: 1, maxLength: 40 }), async (steps) => {
      const server = createToyServer({ snapshots: 3, snapshotsEach: 2, snapshotBytes: 9000 });
      let version = 0;
      const bodyNow = (of: number): Uint8Array => bodyOf(1000 + of * 500, of);
      server.values.set("big", { payload: bodyNow(0), options: [etag("0")] });
      for (const { from, num, szx, change } of steps) {
        if (change) server.values.set("big", { payload: bodyNow(++version), options: [etag(`${version}`)] });
        const request: Asking = { from, block2: { num, more: false, szx } };
        const answer = await server.ask(request);
        const tag = answer.options.find(({ number }) => number === 4)?.value;
        const { snapshots, snapshotBytes } = server.blocks.counts();
        expect([snapshots <= 3, snapshotBytes <= 9000]).toEqual([true, true]);
        if (codeOf(answer) === "4.00") continue;
        const body = bodyNow(Number(Buffer.from(tag ?? []).toString()));
        expect(Buffer.from(answer.payload)).toEqual(
          Buffer.from(body.subarray(num * (16 << szx), (num + 1) * (16 << szx))),
        );
      }
    }),
    runs,
  );
});
