import { settle } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createDownload } from "../../src/blocks/download.ts";
import type { Whole } from "../../src/blocks/whole.ts";
import type { BlockOption } from "../../src/wire/block-option.ts";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { codeText, Method } from "../../src/wire/code.ts";
import { readUint } from "../../src/wire/option-value.ts";
import { optionValue } from "../../src/wire/options.ts";
import { type Asking, block, requestOf, uint } from "../blocks/toy-server.ts";
import { ANN, createToyChannels, type ToyChannels, type ToyOptions } from "./toy-channels.ts";

interface Query extends Asking {
  readonly query?: readonly string[];
  readonly toGroup?: boolean;
}

async function ask(
  toy: ToyChannels,
  { query = [], toGroup = false, ...asking }: Query = {},
): Promise<Whole | undefined> {
  const queries = query.map((text) => ({ number: OptionNumber.uriQuery, value: Buffer.from(text) }));
  const request = requestOf({
    path: ".well-known/core",
    ...asking,
    options: [...(asking.options ?? []), ...queries],
  });
  return toy.discovery.answer({ ...request, toGroup }, ANN);
}

/** Reads all blocks as a client does; `before` runs before each request. */
async function readAll(
  toy: ToyChannels,
  query: Query,
  before = async (_num: number): Promise<void> => {},
): Promise<string> {
  const download = createDownload({ most: 10_000_000 });
  let next: BlockOption = block(0, false, query.block2?.szx ?? 6);
  for (;;) {
    await before(next.num);
    const answer = await ask(toy, { ...query, block2: next });
    if (answer === undefined || codeText(answer.code) !== "2.05")
      throw new Error(answer && codeText(answer.code));
    const step = download.take({ ...requestOf(query), ...answer });
    if (step.is === "whole") return Buffer.from(step.body).toString();
    if (step.is !== "more") throw new Error(step.is === "failed" ? step.reason : step.is);
    next = step.ask;
  }
}

const textOf = (answer: Whole | undefined): string => Buffer.from(answer?.payload ?? []).toString();
const linksOf = (text: string): string[] =>
  (text === "" ? [] : text.split(",")).map((link) => link.split(";")[0] ?? "");
const found = async (toy: ToyChannels, ...query: string[]): Promise<string[]> =>
  linksOf(textOf(await ask(toy, { query })));

const INFO = {
  href: "/.well-known/nomq",
  attributes: [
    ["rt", "nomq.info other"],
    ["ct", "50 60"],
  ] as const,
};

async function plant(options: ToyOptions = {}): Promise<ToyChannels> {
  const toy = await createToyChannels(["site/temp", "site/hum", "site/image", "other"], {
    others: [INFO],
    ...options,
  });
  toy.learn("site/json", { payload: Buffer.from("{}"), formats: [50, 60] });
  await settle();
  toy.learn("site/large", { payload: new Uint8Array(4096), formats: [42] });
  await settle();
  return toy;
}

describe("RFC 6690: what can be found", () => {
  test("TD_COAP_LINK_01: every channel with its attributes, and what else there is", async () => {
    const answer = await ask(await plant());
    expect(
      answer && readUint(optionValue(answer.options, OptionNumber.contentFormat) ?? new Uint8Array(9), 2),
    ).toBe(40);
    expect(textOf(answer).split(",")).toEqual([
      '</.well-known/nomq>;rt="nomq.info other";ct="50 60"',
      '</site/temp>;rt="nomq.channel";if="core.p";obs',
      '</site/hum>;rt="nomq.channel";if="core.p";obs',
      '</site/image>;rt="nomq.channel";if="core.p";obs',
      '</other>;rt="nomq.channel";if="core.p";obs',
      '</site/json>;rt="nomq.channel";if="core.p";obs;ct="50 60"',
      '</site/large>;rt="nomq.channel";if="core.p";obs;ct=42;sz=4096',
    ]);
  });

  test("TD_COAP_LINK_02 rt=, TD_COAP_LINK_03 rt=*, and the beginning of a type", async () => {
    const toy = await plant();
    expect(await found(toy, "rt=nomq.info")).toEqual(["</.well-known/nomq>"]);
    expect((await found(toy, "rt=*")).length).toBe(7);
    expect((await found(toy, "rt=nomq.c*")).length).toBe(6);
    expect(await found(toy, "rt=nomq.c")).toEqual([]);
  });

  test("TD_COAP_LINK_04: each of several types is found", async () => {
    const toy = await plant();
    for (const type of ["nomq.info", "other", "oth*", "nomq.info other"])
      expect(await found(toy, `rt=${type}`)).toContain("</.well-known/nomq>");
  });

  test("TD_COAP_LINK_05: if=*", async () => {
    const toy = await plant({ may: (_, action, channel) => action === "subscribe" || channel === "other" });
    expect((await found(toy, "if=*")).length).toBe(6);
    expect(await found(toy, "if=core.p")).toEqual(["</other>"]);
  });

  test("TD_COAP_LINK_06: sz=*", async () => {
    expect(await found(await plant(), "sz=*")).toEqual(["</site/large>"]);
  });

  test("TD_COAP_LINK_07 href=, TD_COAP_LINK_08 href=*", async () => {
    const toy = await plant();
    expect(await found(toy, "href=/site/temp")).toEqual(["</site/temp>"]);
    expect(await found(toy, "href=/site/*")).toEqual([
      "</site/temp>",
      "</site/hum>",
      "</site/image>",
      "</site/json>",
      "</site/large>",
    ]);
    expect((await found(toy, "href=*")).length).toBe(7);
  });

  test("ct=, also one of several; obs; and several conditions at once", async () => {
    const toy = await plant();
    expect(await found(toy, "ct=50")).toEqual(["</.well-known/nomq>", "</site/json>"]);
    expect((await found(toy, "obs=*")).length).toBe(6);
    expect(await found(toy, "href=/site/*", "ct=50")).toEqual(["</site/json>"]);
    expect(await found(toy, "href=/site/*", "rt=nomq.info")).toEqual([]);
  });

  test("names that a URI cannot say as they are, and a prefix", async () => {
    const toy = await createToyChannels(['küche/"a b"', "x//y"], { prefix: "ps" });
    expect(textOf(await ask(toy))).toBe(
      '</ps/k%C3%BCche/%22a%20b%22>;rt="nomq.channel";if="core.p";obs;title="küche/\\"a b\\"",' +
        '</ps/x//y>;rt="nomq.channel";if="core.p";obs',
    );
    expect(await found(toy, 'href=/ps/küche/"a b"')).toEqual(["</ps/k%C3%BCche/%22a%20b%22>"]);
    expect(await found(toy, "href=/ps/k%C3%BCche*")).toEqual(["</ps/k%C3%BCche/%22a%20b%22>"]);
  });

  test("only what the asker may see is there", async () => {
    const toy = await plant({ may: (who, _, channel) => who === ANN && channel === "other" });
    expect(await found(toy, "rt=nomq.channel")).toEqual(["</other>"]);
  });

  test("what was learned after the start is there at once", async () => {
    const toy = await createToyChannels();
    expect(textOf(await ask(toy))).toBe("");
    toy.learn("new");
    await settle();
    expect(await found(toy)).toEqual(["</new>"]);
  });
});

describe("requests that are answered otherwise", () => {
  test("nothing matches: an empty 2.05, and to a group nothing at all (RFC 6690 §4.1)", async () => {
    const toy = await plant();
    const empty = await ask(toy, { query: ["rt=none"] });
    expect([empty && codeText(empty.code), empty?.payload.length]).toEqual(["2.05", 0]);
    expect(await ask(toy, { query: ["rt=none"], toGroup: true })).toBeUndefined();
    expect(linksOf(textOf(await ask(toy, { query: ["href=/other"], toGroup: true })))).toEqual(["</other>"]);
  });

  test.each([
    ["another method", { code: Method.put }, "4.05"],
    ["another format", { options: [uint(OptionNumber.accept, 50)] }, "4.06"],
    ["link-format asked for", { options: [uint(OptionNumber.accept, 40)] }, "2.05"],
    ["a filter without a name", { query: ["=x"] }, "4.00"],
    ["a filter that is no filter", { query: ["x"] }, "4.00"],
  ] as const)("%s", async (_, query, code) => {
    const answer = await ask(await plant(), query);
    expect(answer && codeText(answer.code)).toBe(code);
  });

  test("an ETag that is still right is 2.03", async () => {
    const toy = await plant();
    const first = await ask(toy);
    const tag = {
      number: OptionNumber.etag,
      value: optionValue(first?.options ?? [], OptionNumber.etag) ?? new Uint8Array(0),
    };
    const again = await ask(toy, { options: [tag] });
    expect([again && codeText(again.code), again?.payload.length]).toEqual(["2.03", 0]);
    toy.learn("one/more");
    await settle();
    expect(codeText((await ask(toy, { options: [tag] }))?.code ?? 0)).toBe("2.05");
  });
});

describe("long lists go in blocks", () => {
  const names = Array.from({ length: 300 }, (_, at) => `site/channel/${at}`);

  test.each([0, 2, 6])("of size exponent %i, while channels come and others read", async (szx) => {
    const toy = await createToyChannels(names);
    let learned = 0;
    const text = await readAll(toy, { block2: block(0, false, szx) }, async (num) => {
      if (num > 0) toy.learn(`late/${learned++}`);
      await ask(toy, { from: "other" });
    });
    expect(linksOf(text)).toEqual(names.map((name) => `</${name}>`));
  });

  test("late negotiation: smaller blocks go on from the same byte", async () => {
    const toy = await createToyChannels(names);
    const first = await ask(toy);
    const second = await ask(toy, { block2: block(16, false, 2) });
    const whole = await readAll(toy, { from: "other" });
    expect(textOf(first) + textOf(second)).toBe(whole.slice(0, 1024 + 64));
  });

  test("a block that is asked for again is the same; one long passed comes from a new list, under its ETag", async () => {
    const toy = await createToyChannels(names);
    const etags: (string | undefined)[] = [];
    const texts: string[] = [];
    for (const num of [0, 1, 2, 3, 4, 3, 5, 6, 7, 1]) {
      const answer = await ask(toy, { block2: block(num, false, 6) });
      etags.push(Buffer.from(optionValue(answer?.options ?? [], OptionNumber.etag) ?? []).toString("hex"));
      texts.push(textOf(answer));
    }
    expect(texts[5]).toBe(texts[3]);
    expect(new Set(etags.slice(0, 9)).size).toBe(1);
    expect(etags[9]).not.toBe(etags[0]);
  });

  test("nobody reads far ahead of what was made, and beyond the end is nothing", async () => {
    const toy = await createToyChannels(names);
    for (const num of [1_048_575, 65, 60]) {
      const answer = await ask(toy, { block2: block(num, false, 6) });
      expect(answer && codeText(answer.code)).toBe("4.00");
    }
  });

  test("rights that change: the list begins anew", async () => {
    const toy = await createToyChannels(names);
    await ask(toy);
    const before = await ask(toy, { block2: block(1, false, 6) });
    toy.discovery.forget();
    const after = await ask(toy, { block2: block(2, false, 6) });
    expect(optionValue(after?.options ?? [], OptionNumber.etag)).not.toEqual(
      optionValue(before?.options ?? [], OptionNumber.etag),
    );
  });
});

describe("100,000 channels", () => {
  const names = Array.from({ length: 100_000 }, (_, at) => `site/line/${at}/temperature`);

  test("the first block reads as many values as it says, and a filter that finds little lets others go on", async () => {
    const toy = await createToyChannels(names);
    await ask(toy);
    expect(toy.reads()).toBeLessThan(40);
    const turns: number[] = [];
    let isSearching = true;
    const watch = (last: number): void => {
      const now = performance.now();
      turns.push(now - last);
      if (isSearching) setImmediate(watch, now);
    };
    watch(performance.now());
    expect(await found(toy, "href=/site/line/99999/*")).toEqual(["</site/line/99999/temperature>"]);
    isSearching = false;
    // How long each turn took is for the bench to say; that there were many is what the slices are for.
    expect(turns.length).toBeGreaterThan(5);
    expect(toy.reads()).toBeLessThan(50);
  });
});
