import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { type CoapDraft, type CoapEndpoint, openCoapEndpoint } from "../real/coap-endpoint.ts";
import { type CoapPlace, PLACES } from "../real/coap-places.ts";
import { type CoapObserver, coapClient, coapObserve, longText, type Traced } from "../real/coap-programs.ts";
import { type CoapPacket, DELETE, EMPTY, GET, numberOf, OPTION, PUT, uint } from "../real/coap-wire.ts";

const observeNumbers = (trace: readonly Traced[]): readonly number[] =>
  trace
    .flatMap(({ options }) => options.flatMap((each) => /^Observe:(\d+)$/.exec(each)?.[1] ?? []))
    .map(Number);
const rises = (numbers: readonly number[]): boolean =>
  numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0));
const isFurtherBlock = (option: string): boolean => /^Block2:[1-9]/.test(option);
const REGISTER = [[OPTION.observe, uint(0)]] as const;
const CANCEL = [[OPTION.observe, uint(1)]] as const;

describe.each(PLACES)("$name", ({ open }) => {
  let place: CoapPlace;
  beforeAll(async () => {
    place = await open();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  /** One observer of a channel with what comes to it. */
  async function observing(uri: string): Promise<Observing> {
    const raw = await openCoapEndpoint(place.port);
    // On a busy machine answers come separately: what was asked for is no notification, whatever its type.
    const answers = new Set<CoapPacket>();
    const ask = async (draft: CoapDraft): Promise<CoapPacket> => {
      const answer = await raw.ask(draft);
      answers.add(answer);
      return answer;
    };
    const { token } = await ask({ code: GET, uri, options: REGISTER });
    return {
      raw,
      token,
      ask,
      notes: () => raw.received.filter((each) => each.token.equals(token) && !answers.has(each)),
      [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
    };
  }

  /**
   * An observer that has the state 0 and loses its second datagram, the acknowledgement of its first notification: unless, on
   * a busy machine, the state came separately. Then that acknowledgement is lost, libcoap 4.3.1 sends none for a copy, and
   * another observer is tried.
   */
  async function losingFirstAcknowledgement(uri: string): Promise<CoapObserver> {
    for (;;) {
      const observer = coapObserve(place.port, uri, { more: ["-l", "2"] });
      await expect.poll(() => observer.bodies().at(-1)).toBe("0");
      if (observer.trace().every(({ way, type }) => way === "sent" || type === "ACK")) return observer;
      await observer[Symbol.asyncDispose]();
    }
  }

  describeWithPeers("coap-client", ["libcoap3-bin"], () => {
    test.each([
      { etsi: "TD_COAP_OBS_01", type: "CON", uri: "obs/01?qos=1" },
      { etsi: "TD_COAP_OBS_02", type: "NON", uri: "obs/02?qos=0" },
    ])(
      "$etsi: an observer gets state and changes, $type, numbers rising, until it cancels",
      async ({ type, uri }) => {
        const channel = uri.split("?")[0] ?? "";
        await place.publish({ channel, text: "0", retain: true, contentType: "text/plain" });
        await using observer = coapObserve(place.port, uri);
        for (let value = 0; value < 5; value += 1) {
          await expect.poll(() => observer.bodies().at(-1)).toBe(String(value));
          await place.publish({ channel, text: String(value + 1), qos: 1, retain: true });
        }
        await expect.poll(() => observer.bodies().at(-1)).toBe("5");
        await observer.cancel();
        const bodies = observer.bodies();
        expect(bodies.slice(0, 6)).toEqual(["0", "1", "2", "3", "4", "5"]);
        expect(observer.trace().at(-1)).toMatchObject({ way: "sent", code: "GET" });
        expect(observer.trace().at(-1)?.options).toContain("Observe:1");
        const notes = observer.notifications();
        expect(new Set(notes.slice(1, 6).map((note) => note.type))).toEqual(new Set([type]));
        expect(rises(observeNumbers(notes.slice(0, 6)))).toBe(true);
        expect(
          notes.slice(0, 6).every(({ options }) => options.some((each) => each.startsWith("Max-Age:"))),
        ).toBe(true);
      },
    );

    test("TD_COAP_OBS_07: DELETE ends the observation with a 4.04 that carries no Observe", async () => {
      await place.publish({ channel: "obs/07", text: "on", retain: true });
      await using observer = coapObserve(place.port, "obs/07");
      await expect.poll(() => observer.bodies()).toEqual(["on"]);
      await coapClient(place.port, "obs/07", { method: "delete" });
      await expect.poll(() => observer.notifications().at(-1)?.code).toBe("4.04");
      expect(observeNumbers(observer.notifications().slice(-1))).toEqual([]);
    });

    test("TD_COAP_OBS_09: a PUT by one client reaches another that observes", async () => {
      await coapClient(place.port, "obs/09", { method: "put", body: "off" });
      await using observer = coapObserve(place.port, "obs/09");
      await expect.poll(() => observer.bodies()).toEqual(["off"]);
      await coapClient(place.port, "obs/09", { method: "put", body: "on" });
      await expect.poll(() => observer.bodies()).toEqual(["off", "on"]);
    });

    test("TD_COAP_OBS_13: a large value is observed in blocks, each version whole", async () => {
      const texts = ["a", "b", "c"].map((salt) => longText(5_000, salt));
      await place.publish({ channel: "obs/13", text: texts[0] ?? "", retain: true });
      await using observer = coapObserve(place.port, "obs/13?qos=1", { more: ["-b", "256"] });
      for (const [at, text] of texts.entries()) {
        if (at > 0) await place.publish({ channel: "obs/13", text, qos: 1, retain: true });
        await expect.poll(() => observer.bodies().filter((body) => body !== "").length).toBe(at + 1);
      }
      expect(observer.bodies().filter((body) => body !== "")).toEqual(texts);
      // Only the first block of each version says where it stands (RFC 7959 section 2.6).
      const further = observer.notifications().filter(({ options }) => options.some(isFurtherBlock));
      expect(further.length).toBeGreaterThan(30);
      expect(observeNumbers(further)).toEqual([]);
    });

    test("TD_COAP_OBS_14: a value whose size varies, small and large by turns", async () => {
      const texts = [longText(20), longText(3_000), longText(10, "s"), longText(2_000, "l"), "end"];
      await place.publish({ channel: "obs/14", text: "begin", retain: true });
      await using observer = coapObserve(place.port, "obs/14?qos=1");
      for (const [at, text] of ["begin", ...texts].entries()) {
        if (at > 0) await place.publish({ channel: "obs/14", text, qos: 1, retain: true });
        await expect.poll(() => observer.bodies().at(-1)).toBe(text);
      }
    });

    test("TD_COAP_OBS_11: an observer whose acknowledgements are lost is sent the newest, one at a time", async () => {
      await place.publish({ channel: "obs/11", text: "0", retain: true });
      await using observer = await losingFirstAcknowledgement("obs/11?qos=1");
      for (let value = 1; value <= 20; value += 1)
        await place.publish({ channel: "obs/11", text: String(value), qos: 1, retain: true });
      await expect.poll(() => observer.bodies().at(-1)).toBe("20");
      const notes = observer.notifications().slice(1);
      // The one that is not acknowledged gives way to the newest: it is not sent beside that.
      expect(notes.length).toBeLessThanOrEqual(20);
      expect(rises([...new Set(observeNumbers(notes))])).toBe(true);
    });
  });

  test("TD_COAP_OBS_06: a reset ends the observation, of CON and of NON", async () => {
    for (const qos of [0, 1]) {
      const channel = `obs/06/${qos}`;
      await place.publish({ channel, text: "0", retain: true });
      await using observer = await observing(`${channel}?qos=${qos}`);
      observer.raw.acknowledges = false;
      await place.publish({ channel, text: "1", qos: 1, retain: true });
      await expect.poll(() => observer.notes().length).toBe(1);
      const [note] = observer.notes();
      observer.raw.send({ type: "RST", code: EMPTY, messageId: note?.messageId ?? 0 });
      // Answered after the reset: it has been read by then.
      await observer.ask({ code: GET, uri: channel });
      await place.publish({ channel, text: "2", qos: 1, retain: true });
      await observer.ask({ code: GET, uri: channel });
      expect(observer.notes().map(({ payload }) => payload.toString())).toEqual(["1"]);
    }
  });

  test("TD_COAP_OBS_08: a change of the content format ends the observation with 4.06", async () => {
    await place.publish({ channel: "obs/08", text: "21.5", retain: true, contentType: "text/plain" });
    await using observer = await observing("obs/08?qos=1");
    await place.publish({
      channel: "obs/08",
      text: "<t/>",
      qos: 1,
      retain: true,
      contentType: "application/xml",
    });
    const last = await observer.raw.next(
      ({ token, code }) => token.equals(observer.token) && code === "4.06",
    );
    expect(numberOf(last, OPTION.observe)).toBeUndefined();
  });

  test("TD_COAP_OBS_10: a plain GET of the same client keeps the observation", async () => {
    await place.publish({ channel: "obs/10", text: "0", retain: true });
    await using observer = await observing("obs/10?qos=1");
    const got = await observer.ask({ code: GET, uri: "obs/10" });
    expect([got.payload.toString(), numberOf(got, OPTION.observe)]).toEqual(["0", undefined]);
    await place.publish({ channel: "obs/10", text: "1", qos: 1, retain: true });
    await expect.poll(() => observer.notes().map(({ payload }) => payload.toString())).toEqual(["1"]);
  });

  test("TD_COAP_OBS_12: Observe 1 with the same token ends the observation", async () => {
    await place.publish({ channel: "obs/12", text: "0", retain: true });
    await using observer = await observing("obs/12?qos=1");
    const { token } = observer;
    const last = await observer.ask({ code: GET, uri: "obs/12?qos=1", token, options: CANCEL });
    expect(numberOf(last, OPTION.observe)).toBeUndefined();
    await place.publish({ channel: "obs/12", text: "1", qos: 1, retain: true });
    await observer.ask({ code: GET, uri: "obs/12" });
    expect(observer.notes()).toEqual([]);
  });

  test("the same token again replaces the relation: one change, one notification", async () => {
    await place.publish({ channel: "obs/same", text: "0", retain: true });
    await using observer = await observing("obs/same?qos=1");
    for (let again = 0; again < 3; again += 1)
      await observer.ask({ code: GET, uri: "obs/same?qos=1", token: observer.token, options: REGISTER });
    await place.publish({ channel: "obs/same", text: "1", qos: 1, retain: true });
    await expect.poll(() => observer.notes().length).toBeGreaterThan(0);
    await observer.ask({ code: GET, uri: "obs/same" });
    expect(observer.notes()).toHaveLength(1);
  });

  test("an event is notified and changes no state: a GET after it reads the state", async () => {
    await place.publish({ channel: "obs/event", text: "state", retain: true });
    await using observer = await observing("obs/event?qos=1");
    await place.publish({ channel: "obs/event", text: "event", qos: 1 });
    await expect.poll(() => observer.notes().map(({ payload }) => payload.toString())).toEqual(["event"]);
    const got = await observer.ask({ code: GET, uri: "obs/event" });
    expect(got.payload.toString()).toBe("state");
  });

  test("a value that ends leaves the relation: an empty 2.05, then the next value; DELETE alone ends it", async () => {
    await place.publish({ channel: "obs/clear", text: "0", retain: true });
    await using observer = await observing("obs/clear?qos=1");
    await place.publish({ channel: "obs/clear", text: "", qos: 1, retain: true });
    await expect.poll(() => observer.notes().map(shown)).toEqual(["2.05 "]);
    await place.publish({ channel: "obs/clear", text: "1", qos: 1, retain: true });
    await expect.poll(() => observer.notes().map(shown)).toEqual(["2.05 ", "2.05 1"]);
    await using other = await openCoapEndpoint(place.port);
    await other.ask({ code: DELETE, uri: "obs/clear" });
    await expect.poll(() => observer.notes().map(shown).at(-1)).toMatch(/^4\.04/);
    await other.ask({ code: PUT, uri: "obs/clear", payload: "2" });
    await observer.ask({ code: GET, uri: "obs/clear" });
    expect(observer.notes()).toHaveLength(3);
  });
});

interface Observing extends AsyncDisposable {
  readonly raw: CoapEndpoint;
  readonly token: Buffer;
  ask(draft: CoapDraft): Promise<CoapPacket>;
  /** What came for its token and answers nothing that was asked. */
  notes(): readonly CoapPacket[];
}

const shown = ({ code, payload }: CoapPacket): string => `${code} ${payload.toString()}`;
