import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { type CoapPlace, PLACES } from "../real/coap-places.ts";
import { coapClient } from "../real/coap-programs.ts";

/** A link as RFC 6690 writes it. */
interface Link {
  readonly target: string;
  readonly attributes: Readonly<Record<string, string>>;
}

function linksOf(text: string): readonly Link[] {
  return [...text.matchAll(/<([^>]*)>((?:;[\w-]+(?:=(?:"[^"]*"|[^",;]*))?)*)/g)].map(
    ([, target = "", rest = ""]) => ({
      target,
      attributes: Object.fromEntries(
        [...rest.matchAll(/;([\w-]+)(?:=(?:"([^"]*)"|([^",;]*)))?/g)].map(([, name, quoted, bare]) => [
          name ?? "",
          quoted ?? bare ?? "",
        ]),
      ),
    }),
  );
}

describe.each(PLACES)("$name", ({ open }) => {
  let place: CoapPlace;
  beforeAll(async () => {
    place = await open();
    for (const name of ["temperature", "humidity", "light"]) {
      const contentType = name === "light" ? "application/json" : "text/plain";
      await place.publish({ channel: `link/room/${name}`, text: "1", retain: true, contentType });
    }
    await place.publish({ channel: "link/big", text: "x".repeat(2_000), retain: true });
  });
  afterAll(() => place[Symbol.asyncDispose]());
  const listed = async (query = ""): Promise<readonly Link[]> => {
    const { body } = await coapClient(place.port, `.well-known/core${query}`);
    return linksOf(body.toString());
  };
  const targets = (links: readonly Link[]): readonly string[] => links.map(({ target }) => target);
  /** A link of the list that has the attribute, and its value. */
  const someWith = async (name: string): Promise<{ readonly link: Link; readonly value: string }> => {
    const link = (await listed()).find(({ attributes }) => (attributes[name] ?? "") !== "");
    if (link === undefined) throw new Error(`no link with ${name}`);
    return { link, value: link.attributes[name]?.split(" ")[0] ?? "" };
  };

  describeWithPeers("coap-client", ["libcoap3-bin"], () => {
    test("TD_COAP_LINK_01: /.well-known/core lists the channels in link format", async () => {
      const got = await coapClient(place.port, ".well-known/core");
      expect(got.code).toBe("2.05");
      expect(got.options).toContain("Content-Format:application/link-format");
      const links = linksOf(got.body.toString());
      expect(targets(links)).toEqual(
        expect.arrayContaining([
          "/link/room/temperature",
          "/link/room/humidity",
          "/link/room/light",
          "/link/big",
        ]),
      );
      const light = links.find(({ target }) => target === "/link/room/light");
      expect(light?.attributes).toMatchObject({ ct: expect.stringMatching(/^50\b/), obs: "" });
    });

    test.each([
      { etsi: "TD_COAP_LINK_02", attribute: "rt" },
      { etsi: "TD_COAP_LINK_05", attribute: "if" },
    ])("$etsi: $attribute=VALUE lists what has it, and nothing else", async ({ attribute }) => {
      const { link, value } = await someWith(attribute);
      const found = await listed(`?${attribute}=${value}`);
      expect(targets(found)).toContain(link.target);
      expect(found.every(({ attributes }) => attributes[attribute]?.split(" ").includes(value))).toBe(true);
      expect(await listed(`?${attribute}=${value}-not`)).toEqual([]);
    });

    test.each([
      { etsi: "TD_COAP_LINK_03", attribute: "rt" },
      { etsi: "TD_COAP_LINK_05", attribute: "if" },
      { etsi: "TD_COAP_LINK_06", attribute: "sz" },
    ])("$etsi: $attribute=* lists what has one at all", async ({ attribute }) => {
      const found = await listed(`?${attribute}=*`);
      expect(found.length).toBeGreaterThan(0);
      expect(found.every(({ attributes }) => attribute in attributes)).toBe(true);
      expect(found.length).toBe((await listed()).filter(({ attributes }) => attribute in attributes).length);
    });

    test("TD_COAP_LINK_04: one value of several, and its beginning, find the link", async () => {
      const { link, value } = await someWith("rt");
      expect(targets(await listed(`?rt=${value.slice(0, -1)}*`))).toContain(link.target);
      for (const one of link.attributes["rt"]?.split(" ") ?? [])
        expect(targets(await listed(`?rt=${one}`))).toContain(link.target);
    });

    test("TD_COAP_LINK_07: href=PATH lists that one", async () => {
      expect(targets(await listed("?href=/link/room/light"))).toEqual(["/link/room/light"]);
    });

    test("TD_COAP_LINK_08: href=PREFIX* lists what begins so", async () => {
      expect(targets(await listed("?href=/link/room/*")).toSorted()).toEqual([
        "/link/room/humidity",
        "/link/room/light",
        "/link/room/temperature",
      ]);
    });

    test("a long list comes in blocks", async () => {
      for (let at = 0; at < 60; at += 1)
        await place.publish({ channel: `link/many/${at}`, text: "1", retain: true });
      const got = await coapClient(place.port, ".well-known/core", { more: ["-b", "64"] });
      const found = targets(linksOf(got.body.toString())).filter((target) =>
        target.startsWith("/link/many/"),
      );
      expect(new Set(found).size).toBe(60);
    });
  });
});
