import type { Log, Principal } from "@nomq/core";
import { createFakeClock, type FakeClock, settle } from "@nomq/core/testing";
import { decode } from "cborg";
import { describe, expect, test } from "vitest";
import type { Whole } from "../../src/blocks/whole.ts";
import { aboutResource } from "../../src/programs/about.ts";
import type { CoapResource, HandleRequest } from "../../src/programs/coap-resource.ts";
import { placesOf } from "../../src/programs/places.ts";
import { actionOf, createPrograms, type Programs } from "../../src/programs/programs.ts";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { codeText, Method } from "../../src/wire/code.ts";
import { linkText } from "../../src/wire/link-format.ts";
import { readUint } from "../../src/wire/option-value.ts";
import { optionValue } from "../../src/wire/options.ts";
import { type Asking, block, bodyOf, etag, requestOf, uint } from "../blocks/toy-server.ts";

const ANN: Principal = "user:ann";

interface Bench {
  readonly programs: Programs;
  readonly clock: FakeClock;
  readonly logged: string[];
}

function benchOf(
  resources: readonly CoapResource[],
  may: (...asked: string[]) => boolean = () => true,
): Bench {
  const clock = createFakeClock();
  const logged: string[] = [];
  const record = (text: string, fields?: object): void =>
    void logged.push(`${text} ${JSON.stringify(fields)}`);
  const log: Log = { debug: record, info: record, warn: record, error: record };
  return {
    programs: createPrograms({ places: placesOf(resources, ""), port: { may }, clock, log }),
    clock,
    logged,
  };
}

const handled = (handle: HandleRequest): Bench => benchOf([{ path: "admin/it", handle }]);

function ask({ programs }: Bench, asking: Asking & { readonly body?: Uint8Array } = {}): Promise<Whole> {
  const { path = "admin/it", body = new Uint8Array(0) } = asking;
  const resource = programs.at(path);
  if (resource === undefined) throw new Error(`nothing at ${path}`);
  return programs.answer({ resource, request: requestOf({ ...asking, path }), body, as: ANN });
}

const text = ({ payload }: Whole): string => Buffer.from(payload).toString();
const said = (whole: Whole): string => `${codeText(whole.code)} ${text(whole)}`;

describe("resources in node-coap's own style", () => {
  test("a handler sees method, path, query, options, payload, sender and who asks, and answers with options", async () => {
    const bench = handled((request, response, { principal }) => {
      const { method, url, headers, payload, rsinfo } = request;
      response.setOption("Content-Format", "application/senml+json");
      response.code = "2.04";
      response.end([method, url, headers["Content-Format"], payload, rsinfo.address, principal].join(" "));
    });
    const query = { number: OptionNumber.uriQuery, value: Buffer.from("a=1") };
    const options = [uint(OptionNumber.contentFormat, 50), query];
    const answer = await ask(bench, { code: Method.put, options, body: Buffer.from("{}") });
    expect(said(answer)).toBe("2.04 PUT /?a=1 application/json {} one user:ann".replace("/?", "/admin/it?"));
    expect(readUint(optionValue(answer.options, OptionNumber.contentFormat) ?? new Uint8Array(9), 2)).toBe(
      110,
    );
  });

  test("bodies of any size go through in one piece, both ways, written, piped or ended with", async () => {
    const bench = handled(async (request, response) => {
      response.setOption("ETag", Buffer.from("mine"));
      await Promise.resolve();
      response.write(request.payload.subarray(0, 700));
      response.end(request.payload.subarray(700));
    });
    for (const length of [0, 1, 1023, 1024, 1025, 1280, 100_000]) {
      const body = bodyOf(length);
      const answer = await ask(bench, { code: Method.post, body, block2: block(0, false, 2) });
      expect(Buffer.from(answer.payload)).toEqual(Buffer.from(body));
      expect(answer.options).toEqual([etag("mine")]);
    }
  });

  test("text longer than a block keeps its characters", async () => {
    const long = "grüße ".repeat(400);
    expect(text(await ask(handled((_, response) => void response.end(long))))).toBe(long);
  });

  test("blocks, observation and sizes are done with before: a handler does not see them, and no answer says them", async () => {
    const bench = handled((request, response) => void response.end(Object.keys(request.headers).join()));
    const options = [
      uint(OptionNumber.observe, 0),
      uint(OptionNumber.size2, 0),
      uint(OptionNumber.accept, 0),
    ];
    const answer = await ask(bench, { options, block2: block(0, false, 0) });
    expect([said(answer), answer.options]).toEqual(["2.05 Accept", []]);
  });

  test("the same request twice runs twice here: duplicates are the message layer's", async () => {
    let runs = 0;
    const bench = handled((_, response) => void response.end(String(++runs)));
    const request = requestOf({ path: "admin/it" });
    const resource = bench.programs.at("admin/it");
    if (resource === undefined) throw new Error("nothing there");
    const asked = { resource, request, body: new Uint8Array(0), as: ANN };
    expect([said(await bench.programs.answer(asked)), said(await bench.programs.answer(asked))]).toEqual([
      "2.05 1",
      "2.05 2",
    ]);
  });
});

test("no timer of node-coap's outlives its request: it keeps one for 202 s on each answer otherwise", async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const bench = handled((_, response) => void response.end("ok"));
  await ask(bench);
  const before = timers();
  for (let at = 0; at < 20; at += 1) await ask(bench, { code: Method.post, body: bodyOf(3000) });
  await settle();
  // The test runner has timers of its own, which come and go.
  expect(timers() - before).toBeLessThan(10);
});

describe("handlers that fail", () => {
  const failing: readonly (readonly [string, HandleRequest])[] = [
    [
      "throws",
      () => {
        throw new Error("secret");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("secret");
      },
    ],
    ["names a format that is none", (_, response) => void response.setOption("Content-Format", "no/such")],
    [
      "answers with an option nobody can encode",
      (_, response) => void response.setOption("Max-Age", "soon").end(),
    ],
    [
      "answers with a code that is none",
      (_, response) => {
        response.code = "9.99";
        response.end("x");
      },
    ],
    [
      "answers with a request's code",
      (_, response) => {
        response.code = "0.01";
        response.end("x");
      },
    ],
    ["resets", (_, response) => void response.reset()],
    [
      "has options too long for a datagram",
      (_, response) => void response.setOption("Location-Path", [Buffer.alloc(2000)]).end(),
    ],
  ];

  test.each(failing)("one that %s: 5.00 without detail, and nothing is left behind", async (_, handle) => {
    const bench = handled(handle);
    expect(said(await ask(bench))).toBe("5.00 ");
    expect(bench.clock.pending()).toBe(0);
  });

  test("what was thrown is logged", async () => {
    const bench = handled(() => {
      throw new Error("why");
    });
    await ask(bench);
    expect(bench.logged.join()).toContain("why");
  });

  test("one that never answers is 5.03 after 30 s; what it says later goes nowhere", async () => {
    let late = (): void => {};
    const bench = handled((_, response) => {
      late = () => void response.end("late");
    });
    const answer = ask(bench);
    await settle();
    await bench.clock.advance(30_000);
    expect(said(await answer)).toBe("5.03 ");
    expect(late).not.toThrow();
  });

  test("256 at one time, then 5.03 with Max-Age", async () => {
    const bench = handled(() => {});
    const waiting = Array.from({ length: 256 }, () => ask(bench));
    const refused = await ask(bench);
    expect([codeText(refused.code), refused.options]).toEqual(["5.03", [uint(OptionNumber.maxAge, 5)]]);
    await bench.clock.advance(30_000);
    expect((await Promise.all(waiting)).length).toBe(256);
    expect(bench.clock.pending()).toBe(0);
  });

  test("RFC 8132 §2.3.1: FETCH without a format is 4.15", async () => {
    const bench = handled((_, response) => void response.end("fetched"));
    expect(said(await ask(bench, { code: Method.fetch }))).toBe("4.15 ");
    expect(
      said(await ask(bench, { code: Method.fetch, options: [uint(OptionNumber.contentFormat, 0)] })),
    ).toBe("2.05 fetched");
  });
});

describe("who may, and what is listed", () => {
  const handle: HandleRequest = (_, response) => void response.end("ok");

  test("reading needs the right to subscribe, anything else to publish, to a channel of that path", () => {
    expect([Method.get, Method.fetch].map(actionOf)).toEqual(["subscribe", "subscribe"]);
    const others = [Method.put, Method.post, Method.delete, Method.patch, Method.ipatch];
    expect(others.map(actionOf)).toEqual(others.map(() => "publish"));
  });

  test("links with their attributes, of what may be read and is not hidden", () => {
    const { programs } = benchOf(
      [
        { path: "a b", handle, attributes: { rt: "example.one", ct: "0", obs: true } },
        { path: "hidden", handle, listed: false },
        { path: "closed", handle },
      ],
      (_, action, channel) => action === "subscribe" && channel !== "closed",
    );
    expect(programs.links(ANN).map(linkText)).toEqual(['</a%20b>;rt="example.one";ct=0;obs']);
  });

  test.each([
    [["a", "a"], ""],
    [[""], ""],
    [["/a"], ""],
    [["a+b"], ""],
    [["$SYS/a"], ""],
    [["a/./b"], ""],
    [[".well-known/core"], ""],
    [["ps/a#b"], "ps"],
  ])("paths %j, with the prefix %j, are refused", (paths, prefix) => {
    const resources = paths.map((path) => ({ path, handle }));
    expect(() => placesOf(resources, prefix)).toThrow("config-invalid: coap.resources");
  });

  test("a path under the prefix takes the place of a channel, others take none", () => {
    const { channels } = placesOf(
      [
        { path: "ps/a/b", handle },
        { path: "a/b", handle },
      ],
      "ps",
    );
    expect([...channels]).toEqual([["a/b", "ps/a/b"]]);
  });
});

describe("/.well-known/nomq", () => {
  const about = benchOf([
    aboutResource(() => ({ product: "NoMQ Gateway", version: "1.2.3", health: { live: true } })),
  ]);
  const get = (asking: Asking): Promise<Whole> => ask(about, { path: ".well-known/nomq", ...asking });

  test("says product, version and health as JSON, or as CBOR where that is asked for", async () => {
    const facts = { product: "NoMQ Gateway", version: "1.2.3", health: { live: true } };
    for (const options of [[], [uint(OptionNumber.accept, 50)]]) {
      const answer = await get({ options });
      expect(JSON.parse(text(answer))).toEqual(facts);
      expect(answer.options.map(({ number, value }) => [number, readUint(value, 4)])).toEqual([
        [OptionNumber.contentFormat, 50],
        [OptionNumber.maxAge, 0],
      ]);
    }
    expect(decode((await get({ options: [uint(OptionNumber.accept, 60)] })).payload)).toEqual(facts);
  });

  test("another format is 4.06, another method 4.05", async () => {
    expect(said(await get({ options: [uint(OptionNumber.accept, 41)] }))).toBe("4.06 ");
    expect(said(await get({ code: Method.put }))).toBe("4.05 ");
  });
});
