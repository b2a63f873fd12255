import type { Carried } from "./sample.ts";

/** A retained message of a phase before may be older by this many seconds. */
const SLACK_SECONDS = 60;

/** What differs between what came and what the tables say; times to live only grow less. */
export function differences(came: Carried, wanted: Carried): readonly string[] {
  const names = new Set([...Object.keys(came), ...Object.keys(wanted)]) as Set<keyof Carried>;
  return [...names].flatMap((name) => {
    const [is, should] = [came[name], wanted[name]];
    const isLeft =
      name === "ttl" && typeof is === "number" && typeof should === "number" && should > 0
        ? is <= should && is >= should - SLACK_SECONDS
        : show(is) === show(should);
    return isLeft ? [] : [`${name} is ${show(is)}, the tables say ${show(should)}`];
  });
}

const show = (value: unknown): string =>
  Buffer.isBuffer(value)
    ? `${value.length} bytes ${value.toString("hex", 0, 16)}`
    : (JSON.stringify(value) ?? "-");
