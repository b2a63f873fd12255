import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDownload, type Download } from "../../src/blocks/download.ts";
import type { BlockOption } from "../../src/wire/block-option.ts";
import { type CoapMessage, OptionNumber } from "../../src/wire/coap-message.ts";
import { codes, send } from "./sending.ts";
import { block, bodyOf, createToyServer, etag, type ToyServer } from "./toy-server.ts";

const runs = { numRuns: process.env["NOMQ_LONG"] ? 2500 : 150, seed: 7959 };
const szx = fc.integer({ min: 0, max: 6 });

/** Follows a download to its end, each answer given `copies` times; what `before` each request does is the test's. */
async function fetch(
  server: ToyServer,
  download: Download,
  {
    szx: size = 6,
    copies = 1,
    before = () => {},
  }: { szx?: number; copies?: number; before?: () => void | Promise<void> },
): Promise<{ body: Uint8Array; etag: string } | string> {
  let ask: BlockOption = block(0, false, size);
  for (;;) {
    await before();
    const answer = await server.ask({ block2: ask });
    const step = download.take(answer);
    for (let copy = 1; copy < copies && step.is === "more"; copy += 1)
      expect(download.take(answer).is).toBe("ignored");
    if (step.is === "failed") return step.reason;
    if (step.is === "whole") {
      const value = step.first.options.find(({ number }) => number === OptionNumber.etag)?.value;
      return { body: step.body, etag: Buffer.from(value ?? []).toString() };
    }
    if (step.is === "more") ask = step.ask;
  }
}

/** Numbers of all blocks of a body; `twice`: each but the first comes again, as the first begins anew. */
function numsOf(length: number, { szx: size, twice }: { szx: number; twice: boolean }): number[] {
  const nums = Array.from({ length: Math.max(1, Math.ceil(length / (16 << size))) }, (_, num) => num);
  return twice ? nums.flatMap((num) => (num === 0 ? [num] : [num, num])) : nums;
}

describe("both ends of a transfer", () => {
  test("any body of any length comes over in blocks of any size, with copies of every block", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 5000 }), szx, fc.boolean(), async (length, size, twice) => {
        const server = createToyServer();
        const body = bodyOf(length, size);
        const answers = await send(server, { body, szx: size }, numsOf(length, { szx: size, twice }));
        expect(new Set(codes(answers).slice(0, -1))).toEqual(
          new Set(length > 16 << size ? (twice ? ["2.31", "2.04"] : ["2.31"]) : []),
        );
        expect(codes(answers).at(-1)).toBe("2.04");
        expect(server.ran.map((one) => Buffer.from(one.body))).toEqual([Buffer.from(body)]);
        server.values.set("big", { payload: body, options: [etag("v")] });
        const fetched = await fetch(server, createDownload({ most: 5000 }), {
          szx: size,
          copies: twice ? 3 : 1,
        });
        expect(typeof fetched === "string" ? fetched : Buffer.from(fetched.body)).toEqual(Buffer.from(body));
      }),
      runs,
    );
  });

  test("a value that changes at any moment is fetched as one of its versions, never as a mixture", async () => {
    const steps = fc.array(fc.constantFrom("keep", "change", "forget", "other"), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 700 }),
        fc.integer({ min: 0, max: 3 }),
        steps,
        async (length, size, plan) => {
          const server = createToyServer();
          let version = 0;
          const versionOf = (at: number) => ({
            payload: bodyOf(length + at * 16, at),
            options: [etag(`v${at}`)],
          });
          server.values.set("big", versionOf(0));
          let at = 0;
          const before = async (): Promise<void> => {
            const step = plan[at++];
            if (step === "change") server.values.set("big", versionOf(++version));
            if (step === "forget") await server.clock.advance(93_000);
            if (step === "other") await server.ask({ from: "other" });
          };
          const fetched = await fetch(server, createDownload({ most: 5000, restarts: 100 }), {
            szx: size,
            before,
          });
          if (typeof fetched === "string") throw new Error(fetched);
          expect(Buffer.from(fetched.body)).toEqual(
            Buffer.from(versionOf(Number(fetched.etag.slice(1))).payload),
          );
        },
      ),
      runs,
    );
  });
});

const answer = (payload: Uint8Array, block2: BlockOption | undefined, version = "v1"): CoapMessage => ({
  ...EMPTY,
  options: [
    etag(version),
    ...(block2 === undefined ? [] : [{ number: OptionNumber.block2, value: encode(block2) }]),
  ],
  payload,
});
const encode = ({ num, more, szx: size }: BlockOption): Uint8Array =>
  Uint8Array.of((num << 4) | (more ? 8 : 0) | size);
const EMPTY: CoapMessage = {
  type: 2,
  code: 0x45,
  messageId: 1,
  token: new Uint8Array(0),
  options: [],
  payload: new Uint8Array(0),
};

describe("a download", () => {
  test("ignores copies of blocks, late ones and ones ahead", () => {
    const download = createDownload({ most: 1000 });
    download.take(answer(bodyOf(16, 1), block(0, true, 0)));
    expect(download.take(answer(bodyOf(16, 1), block(0, true, 0))).is).toBe("ignored");
    expect(download.take(answer(bodyOf(16, 3), block(2, true, 0))).is).toBe("ignored");
    const last = download.take(answer(bodyOf(8, 2), block(1, false, 0)));
    expect(last.is === "whole" && last.body.length).toBe(24);
  });

  test("begins anew where the ETag changes, and gives up what never stands still", () => {
    const download = createDownload({ most: 1000, restarts: 2 });
    for (const version of ["v1", "v2", "v3"]) {
      expect(download.take(answer(bodyOf(16), block(0, true, 0), version))).toMatchObject({
        ask: { num: 1 },
      });
      const changed = download.take(answer(bodyOf(16), block(1, true, 0), `${version}b`));
      expect(changed).toMatchObject(version === "v3" ? { reason: "changing" } : { ask: { num: 0 } });
    }
  });

  test("takes what has no Block2 as all there is", () => {
    const step = createDownload({ most: 1000 }).take(answer(bodyOf(700), undefined));
    expect(step.is === "whole" && step.body.length).toBe(700);
  });

  test("fails on more than its bound, also where it is only announced", () => {
    const size2 = { number: OptionNumber.size2, value: Uint8Array.of(0x40, 0, 0, 0) };
    const first = answer(bodyOf(16), block(0, true, 0));
    expect(
      createDownload({ most: 1000 }).take({ ...first, options: [...first.options, size2] }),
    ).toMatchObject({
      reason: "too-large",
    });
    expect(createDownload({ most: 15 }).take(first)).toMatchObject({ reason: "too-large" });
  });

  test.each([
    ["a reserved size", block(0, true, 7), 1024],
    ["a block shorter than it says", block(0, true, 0), 15],
    ["a block longer than it says", block(0, false, 0), 17],
  ])("fails on %s", (_, said2, length) => {
    expect(createDownload({ most: 5000 }).take(answer(bodyOf(length), said2))).toMatchObject({
      reason: "block-invalid",
    });
  });
});
