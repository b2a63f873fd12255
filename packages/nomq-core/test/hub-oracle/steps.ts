import type { AckPoint, Qos } from "@nomq/core";
import type { FaultScope, ToyMode } from "@nomq/core/testing";
import fc from "fast-check";

/** One step of a run, as data: it means something, if only nothing, in every state of the world. */
export type Step = { readonly turns: number } & Deed;

export type Deed =
  | {
      readonly do: "publish";
      /** Index of the peer it comes from; one that is not attached, or -1, is the embedded user. */
      readonly from: number;
      readonly channel: number;
      readonly qos: Qos;
      readonly retain: boolean;
      readonly clear: boolean;
      readonly ttlMs: number | undefined;
      readonly priority: number;
      readonly until: AckPoint;
      readonly once: boolean;
    }
  | { readonly do: "repeat"; readonly back: number }
  | { readonly do: "release"; readonly back: number }
  | { readonly do: "echo"; readonly peer: number }
  | { readonly do: "attach"; readonly peer: number; readonly filters: readonly number[] | undefined }
  | { readonly do: "gather" }
  | { readonly do: "detach" | "cut" | "pause" | "resume" | "forget"; readonly peer: number }
  | { readonly do: "repair"; readonly peer: number; readonly filter: number | undefined }
  | { readonly do: "filters"; readonly peer: number; readonly add: number; readonly remove: number }
  | { readonly do: "mode"; readonly peer: number; readonly mode: ToyMode }
  | { readonly do: "answer"; readonly peer: number; readonly nth: number }
  | { readonly do: "store"; readonly how: "hang" | "fail" | "heal"; readonly scope: FaultScope }
  | { readonly do: "crash"; readonly last: "in" | "out" }
  | { readonly do: "restart" }
  | { readonly do: "advance" | "step"; readonly ms: number };

export const CHANNELS: readonly string[] = ["a", "a/b", "a/c", "b", "b/b", "c//d"];
export const FILTERS: readonly string[] = ["#", "a/#", "+/b", "b", "a/b", "+", "c/+/d", "+/+/#"];
const PEERS = 7;
/** The peer whose connection keeps order. */
const ORDERED = 2;

const peer = fc.nat(PEERS - 1);
const filter = fc.nat(FILTERS.length - 1);
const modes: readonly ToyMode[] = [
  "well",
  "well",
  "well",
  "late",
  "late",
  "hang",
  "deaf",
  "lose-send",
  "lose-answer",
  "refuse",
  "reject",
];

const publish = fc.record({
  do: fc.constant("publish" as const),
  from: fc.integer({ min: -1, max: PEERS - 1 }),
  // Most of the traffic on a few channels: what is done in order shows where much waits in one lane.
  channel: fc.constantFrom(0, 1, 1, 1, 2, 3, 4, 4, 5),
  qos: fc.constantFrom<Qos>(0, 1, 1, 2),
  retain: fc.boolean(),
  clear: fc.constantFrom(false, false, false, true),
  ttlMs: fc.constantFrom(undefined, undefined, undefined, undefined, 0, 1_500, 20_000),
  priority: fc.constantFrom(0, 0, 3, 15),
  until: fc.constantFrom<AckPoint>("stored", "stored", "stored", "accepted", "delivered"),
  once: fc.boolean(),
});

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 70, arbitrary: publish },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("repeat" as const), back: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("release" as const), back: fc.nat(12) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("echo" as const), peer }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("attach" as const),
      peer,
      filters: fc.option(fc.uniqueArray(filter, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "gather" as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("detach" as const), peer }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("cut" as const), peer: fc.constant(ORDERED) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("pause" as const, "resume" as const), peer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), peer }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("repair" as const),
      peer,
      filter: fc.option(filter, { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("filters" as const), peer, add: filter, remove: filter }),
  },
  {
    weight: 9,
    arbitrary: fc.record({ do: fc.constant("mode" as const), peer, mode: fc.constantFrom(...modes) }),
  },
  { weight: 14, arbitrary: fc.record({ do: fc.constant("answer" as const), peer, nth: fc.nat(3) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("store" as const),
      how: fc.constantFrom(
        "hang" as const,
        "hang" as const,
        "fail" as const,
        "heal" as const,
        "heal" as const,
      ),
      scope: fc.constantFrom<FaultScope>("commits", "commits", "everything"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("crash" as const),
      last: fc.constantFrom("in" as const, "out" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 500, 1_500, 6_500, 11_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("step" as const),
      ms: fc.constantFrom(-3_600_000, -5_000, 5_000, 3_600_000),
    }),
  },
);

const timed = fc
  .tuple(fc.constantFrom(0, 0, 0, 1, 3, 6), deed)
  .map(([turns, what]): Step => ({ turns, ...what }));
/** Who is there at the beginning, and with which filters. */
const opening = fc.array(
  fc
    .tuple(peer, fc.uniqueArray(filter, { minLength: 1, maxLength: 3 }))
    .map(([at, filters]): Step => ({ turns: 1, do: "attach", peer: at, filters })),
  { minLength: 4, maxLength: 12, size: "max" },
);

/** Runs of up to `most` steps; between steps 0 to 6 turns of the event loop pass. */
export const runs = (least: number, most: number): fc.Arbitrary<Step[]> =>
  fc
    .tuple(opening, fc.array(timed, { minLength: least, maxLength: most, size: "max" }))
    .map(([first, then]) => [...first, ...then]);
