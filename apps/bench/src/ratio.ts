/** One thing to time. */
export interface Case {
  readonly name: string;
  /** Does it once; `turn` counts up so that inputs can vary. */
  run(turn: number): void;
}

/** A case against its reference, measured in turns in the same run. */
export interface Comparison {
  readonly subject: Case;
  readonly reference: Case;
  /** The subject may take this many times the reference's time. */
  readonly target: number;
}

/** What a comparison gave. */
export interface Ratio {
  readonly subjectMicros: number;
  readonly referenceMicros: number;
  /** The middle one of all rounds. */
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
}

const ROUNDS = 41;
const TURNS = 4_000;
const WARM_UP = 20_000;

/**
 * Times both in alternating rounds and takes the median of the rounds' ratios: noise that lasts longer than a
 * round hits both alike, and a single disturbed round does not count.
 */
export function compare({ subject, reference }: Comparison): Ratio {
  time(subject, WARM_UP);
  time(reference, WARM_UP);
  const rounds: { subject: number; reference: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    // Each goes first in half of the rounds.
    if (round % 2 === 0) rounds.push({ subject: time(subject, TURNS), reference: time(reference, TURNS) });
    else rounds.push({ reference: time(reference, TURNS), subject: time(subject, TURNS) });
  }
  const ratios = sorted(rounds.map((round) => round.subject / round.reference));
  return {
    subjectMicros: median(rounds.map((round) => round.subject)),
    referenceMicros: median(rounds.map((round) => round.reference)),
    ratio: median(ratios),
    least: ratios[0] ?? Number.NaN,
    most: ratios.at(-1) ?? Number.NaN,
  };
}

/** One line of a report. */
export function describe(comparison: Comparison, result: Ratio): string {
  const { subject, reference, target } = comparison;
  const verdict = result.ratio <= target ? "ok" : "MISSED";
  const spread = `${result.least.toFixed(2)} to ${result.most.toFixed(2)}`;
  return (
    `${subject.name.padEnd(42)} ${result.subjectMicros.toFixed(2)} µs, ` +
    `${result.ratio.toFixed(2)}× (${spread}) of ${reference.name}, ${result.referenceMicros.toFixed(2)} µs; ` +
    `target ≤ ${target}×: ${verdict}`
  );
}

function time({ run }: Case, turns: number): number {
  const start = process.hrtime.bigint();
  for (let turn = 0; turn < turns; turn += 1) run(turn);
  return Number(process.hrtime.bigint() - start) / 1_000 / turns;
}

function sorted(values: readonly number[]): readonly number[] {
  return [...values].sort((one, other) => one - other);
}

/** The middle one. */
export function median(values: readonly number[]): number {
  return sorted(values)[values.length >> 1] ?? Number.NaN;
}
