import { MAPPING_PROPERTIES, type MappingLoss } from "@nomq/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nameOfEnd, WAY_ENDS } from "../packages/gateway/src/mapping.ts";
import { openCoapClient } from "../packages/gateway/test/coap/client.ts";
import { describeWithPeers } from "./peers.ts";
import { channelId, PUBLISH, randomId, unixSeconds } from "./real/seal.ts";
import { getValue } from "./walk/coap.ts";
import { differences } from "./walk/differences.ts";
import { ELSEWHERE } from "./walk/elsewhere.ts";
import { allCells, allModels, cellAt, createOracle } from "./walk/oracle.ts";
import { openMqtt, openNode } from "./walk/receivers.ts";
import {
  type Carried,
  clearing,
  isBehindUs,
  isValue,
  type Sample,
  samples,
  valuesAtOnce,
} from "./walk/sample.ts";
import { FILTER, openWalk, sendAll, type Walk } from "./walk/walk.ts";

const ends = WAY_ENDS.map(nameOfEnd);
const oracle = createOracle();
/** How long something that must come may take on a busy machine, milliseconds. */
const PATIENCE = { timeout: 20_000, interval: 20 };

let walk: Walk;
let missing: readonly string[];

/** Whether the gateway stands between them. */
const isOurs = (from: string, to: string): boolean => !(isBehindUs(from) && isBehindUs(to));

function faultsOf(sample: Sample, to: string): readonly string[] {
  const wanted = oracle.expected(sample, to);
  const came = walk.receivers[to]?.on(sample.channel) ?? [];
  const at = `${sample.channel} to ${to}`;
  if (wanted === undefined) return came.length === 0 ? [] : [`${at}: came, the tables say too large`];
  // When a value or an event is over, observers and subscribers are told that there is none.
  const isOver = ({ payload }: Carried): boolean => isToldOfEnds(to) && payload.length === 0;
  return came
    .filter((one) => sample.payload.length === 0 || !isOver(one))
    .flatMap((one) => differences(one, wanted))
    .map((fault) => `${at}: ${fault}`);
}

const isToldOfEnds = (to: string): boolean => to.startsWith("coap:") || to.startsWith("xmpp:");

/** The last of each channel that stays, as long as the hub knows it may live. */
const valuesKept = (): readonly Sample[] =>
  samples.filter((sample) => isValue(oracle.inHub(sample) ?? { ...sample, retain: false }));

describeWithPeers("every pair of peers, through a real gateway", ["prosody", "openssl"], () => {
  beforeAll(async () => {
    walk = await openWalk(samples);
    missing = await sendAll(
      walk,
      samples,
      (sample, to) => isOurs(sample.from, to) && oracle.expected(sample, to) !== undefined,
    );
  }, 600_000);
  afterAll(() => walk[Symbol.asyncDispose]());

  test("sends nothing that does not arrive where the tables say so", () => {
    expect(missing).toEqual([]);
  });

  const pairs = ends
    .flatMap((from) => ends.map((to) => [from, to] as const))
    .filter(([from, to]) => isOurs(from, to));
  test.each(pairs)("%s to %s carries what the tables say", (from, to) => {
    const ours = samples.filter((sample) => sample.from === from);
    expect(ours.length).toBeGreaterThan(140);
    expect(ours.flatMap((sample) => faultsOf(sample, to))).toEqual([]);
  });

  test.each([
    ["mqtt:3.1.1", 4],
    ["mqtt:5", 5],
  ] as const)("gives an %s client that comes late every value kept, marked as such", async (to, version) => {
    await using late = await openMqtt(walk.gateway.mqtt, version, FILTER);
    const values = valuesKept();
    await expect.poll(() => late.channels().length, PATIENCE).toBe(values.length);
    oracle.walked.add(`to ${to} no-value`);
    const faults = values.flatMap((sample) => {
      const wanted = oracle.expected(sample, to);
      const [came] = late.on(sample.channel);
      if (wanted === undefined || came === undefined) return [`${sample.channel} did not come`];
      return differences(came, { ...wanted, retain: true }).map((fault) => `${sample.channel}: ${fault}`);
    });
    expect(faults).toEqual([]);
  });

  test.each(["con", "non"] as const)(
    "gives a %s GET every value kept, and 4.04 where there is none",
    async (type) => {
      await using client = await openCoapClient(walk.gateway.coapPort);
      const to = `coap:${type}`;
      const faults: string[] = [];
      for (const sample of valuesKept()) {
        const [wanted, came] = [oracle.expected(sample, to), await getValue(client, sample.channel, type)];
        if (wanted === undefined || came === undefined) faults.push(`${sample.channel}: no value`);
        // An answer's type is the exchange's.
        else
          faults.push(
            ...differences({ ...came, qos: wanted.qos }, wanted).map((one) => `${sample.channel}: ${one}`),
          );
      }
      expect(faults).toEqual([]);
      for (const { channel } of samples.filter(({ retain }) => !retain).slice(0, 20))
        expect(await getValue(client, channel, type)).toBeUndefined();
      oracle.walked.add(`to ${to} no-value`);
    },
  );

  test("leaves every value kept at the XMPP service, and nothing else", async () => {
    const faults: string[] = [];
    for (const sample of samples.filter(({ from }) => !isBehindUs(from))) {
      const isKept = isValue(oracle.inHub(sample) ?? { ...sample, retain: false });
      const [wanted, came] = [oracle.expected(sample, "xmpp:item"), await walk.xmpp.state(sample.channel)];
      if (isKept !== (came !== undefined))
        faults.push(`${sample.channel}: ${isKept ? "no state" : "a state"}`);
      else if (came !== undefined && wanted !== undefined)
        faults.push(...differences(came, wanted).map((one) => `${sample.channel}: ${one}`));
    }
    expect(faults).toEqual([]);
    for (const variant of ["item", "plain"]) oracle.walked.add(`to xmpp:${variant} no-value`);
  });

  test("gives a node that subscribes late the values of its channels, and nothing where there is none", async () => {
    const [empty] = samples.filter((sample) => !sample.retain);
    const asked = [...clearing.map(({ channel }) => channel), empty?.channel ?? ""];
    await using late = await openNode(asked);
    const gateway = { host: "127.0.0.1", port: walk.gateway.nomqPort };
    for (const channel of asked) await late.node.subscribe(channel, gateway);
    const values = samples.filter((sample) => isValue(sample) && asked.includes(sample.channel));
    expect(values).toHaveLength(clearing.length);
    await expect
      .poll(() => values.filter(({ channel }) => late.on(channel).length > 0).length, PATIENCE)
      .toBe(values.length);
    const faults = values.flatMap((sample) => {
      const wanted = oracle.expected(sample, "nomq:node");
      const [came] = late.on(sample.channel);
      return wanted === undefined || came === undefined ? ["nothing"] : differences(came, wanted);
    });
    expect(faults).toEqual([]);
    expect(late.on(empty?.channel ?? "")).toEqual([]);
    oracle.walked.add("to nomq:node no-value");
  });

  test("gives a device that is heard for the first time the values of its channels", async () => {
    const { silent } = walk;
    const cameOn = (channel: string): number => {
      const id = channelId(channel).toString("hex");
      return silent.received.filter((one) => one.type === PUBLISH && one.channelId === id).length;
    };
    const before = valuesAtOnce.map(({ channel }) => cameOn(channel));
    const hello = { channel: samples[0]?.channel ?? "", message: "hello", sessionId: randomId() };
    await silent.send({ ...hello, timestamp: unixSeconds() });
    const again = (): boolean[] => valuesAtOnce.map(({ channel }, at) => cameOn(channel) > (before[at] ?? 0));
    await expect.poll(again, PATIENCE).toEqual(valuesAtOnce.map(() => true));
    expect(
      silent.received.filter((one) => one.type === PUBLISH).every(({ flags }) => (flags & 4) !== 0),
    ).toBe(true);
    oracle.walked.add("to nomq:device no-value");
  });

  test("refuses bytes to a device that reads text only", () => {
    expect(walk.textOnly.received.filter(({ type }) => type === PUBLISH)).toEqual([]);
  });

  test("clears a value everywhere, whoever clears it", async () => {
    for (const sample of clearing) await walk.senders[sample.from]?.send(sample);
    const lastOf = (channel: string, to: string): Carried | undefined =>
      walk.receivers[to]?.on(channel).findLast(({ payload }) => payload.length === 0);
    const ways = clearing
      .flatMap((sample) => ends.map((to) => [sample, to] as const))
      .filter(([{ from }, to]) => isOurs(from, to));
    await expect
      .poll(() => ways.filter(([{ channel }, to]) => lastOf(channel, to) === undefined).length, PATIENCE)
      .toBe(0);
    const faults = ways.flatMap(([sample, to]) => {
      const [came, wanted] = [lastOf(sample.channel, to), oracle.expected(sample, to)];
      if (came === undefined || wanted === undefined) return ["nothing"];
      // The end of a resource has no time to live, and is told by CON; a retraction says nothing but that.
      const { qos, ttl } = isToldOfEnds(to) ? wanted : came;
      return differences({ ...came, qos, ttl }, wanted);
    });
    expect(faults).toEqual([]);
    await using late = await openMqtt(walk.gateway.mqtt, 5, FILTER);
    const left = valuesKept().length - clearing.length;
    await expect.poll(() => late.channels().length, PATIENCE).toBe(left);
    expect(clearing.filter(({ channel }) => late.on(channel).length > 0)).toEqual([]);
  });

  test("counts exactly what the tables call lost, from whom and to whom", async () => {
    const counted = async (): Promise<readonly string[]> => {
      // The documented shape of /healthz.
      const health = (await walk.gateway.ask("/healthz")) as Record<
        "nomq" | "mqtt" | "coap",
        { lost: MappingLoss[] }
      >;
      const rows = [...health.nomq.lost, ...health.mqtt.lost, ...health.coap.lost];
      return rows.map(({ from, to, property }) => `${from} ${to} ${property}`).toSorted();
    };
    await expect.poll(counted, PATIENCE).toEqual([...lostInTables()].toSorted());
  });

  test("has promised no less before: a change here is a change for users", () => {
    const verdicts = MAPPING_PROPERTIES.map((property) => {
      const signs = (way: "from" | "to"): string =>
        ends
          .map((end) => ({ kept: "=", approximated: "~", lost: "-" })[cellAt(way, end, property).is])
          .join("");
      // From device, node, 3.1.1, 5, CoAP CON, CoAP NON, XMPP items, XMPP plain, then to the same.
      return `${signs("from")} ${signs("to")} ${property}`;
    });
    expect(verdicts).toMatchInlineSnapshot(`
      [
        "~~====== ====~~== name",
        "======== ======== publish",
        "=======~ ====~=== qos0",
        "=======~ ====~~== qos1",
        "=======~ ~===~~~~ qos2",
        "-------- -------- qos3",
        "======== ==~=~~== retain",
        "======== ======== no-value",
        "~======= ======== clear-retained",
        "==-====- ~~~~~~== ttl",
        "~~-====~ ---=~~== content-type",
        "==-====- ==-=--== priority",
        "=======~ ======== text",
        "=======~ ~======= binary",
        "======== ======== size",
        "---~--=- ---~--== properties",
        "---=--=- ---=--== response-channel",
        "---=--=- ---=--== correlation",
        "~~~~---- -------- presence",
      ]
    `);
  });

  test("has the limits of the protocols themselves", () => {
    const limits = WAY_ENDS.flatMap((end) =>
      MAPPING_PROPERTIES.flatMap((property) =>
        (["from", "to"] as const).flatMap((way) => {
          const { most } = cellAt(way, nameOfEnd(end), property);
          return most === undefined ? [] : [`${property}: ${most}`];
        }),
      ),
    );
    expect([...new Set(limits)].toSorted()).toEqual([
      // Of each level.
      "name: 255",
      "name: 65535",
      "response-channel: 65535",
      "size: 131072",
      "size: 1339",
      "size: 65375",
      "ttl: 4294967295",
      "ttl: 65535",
    ]);
  });

  test("leaves no cell of any table out", () => {
    const seen = [...oracle.walked, ...Object.keys(ELSEWHERE)];
    expect(allCells.filter((cell) => !seen.includes(cell))).toEqual([]);
    expect(
      Object.keys(ELSEWHERE).filter((cell) => oracle.walked.has(cell) || !allCells.includes(cell)),
    ).toEqual([]);
    expect(allModels.filter((model) => !oracle.modelled.has(model))).toEqual([]);
  });
});

/** What `lost` of `/healthz` must name after this walk. */
function lostInTables(): ReadonlySet<string> {
  const rows = new Set<string>(["nomq hub qos3"]);
  for (const sample of samples) {
    const [from = ""] = sample.from.split(":");
    for (const to of ends) {
      if (!isOurs(sample.from, to) || oracle.expected(sample, to) === undefined) continue;
      // CON and NON lose the same: CoAP counts them together.
      const counted = to.startsWith("coap:") ? "coap" : to;
      for (const property of oracle.lostOut(sample, to)) rows.add(`${from} ${counted} ${property}`);
    }
    if (sample.payload.includes(255)) rows.add(`${from} nomq:device binary`);
  }
  return rows;
}
