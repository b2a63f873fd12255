/** Where a relation is. `last`: what is out is its final notification. */
export type RelationState =
  | { readonly is: "opening" }
  | { readonly is: "quiet" }
  | { readonly is: "due" }
  | { readonly is: "handed" }
  | { readonly is: "said"; readonly last: boolean }
  | { readonly is: "gone" };

/** What happens to it. `more`: there is more to say after this. */
export type RelationInput =
  /** The answer to its registration is on its way. */
  | { readonly on: "opened"; readonly more: boolean }
  /** There is something to say. */
  | { readonly on: "news" }
  /** The fan-out has come to it. */
  | { readonly on: "turn" }
  /** The message layer asked: what it was given goes out, or goes again. */
  | { readonly on: "spoken"; readonly as: "con" | "last" | "non" | "nothing"; readonly more: boolean }
  | { readonly on: "acknowledged"; readonly more: boolean }
  /** The message layer gave it back unsent. */
  | { readonly on: "withdrawn" }
  /** Cancelled, reset, timed out, replaced. */
  | { readonly on: "lost" };

/** What must be done: put it into the fan-out's row, or hand it to the message layer. */
export type RelationEffect = "none" | "enqueue" | "hand";

/** One step of a relation. */
export interface RelationStep {
  readonly state: RelationState;
  readonly effect: RelationEffect;
}

export const OPENING: RelationState = { is: "opening" };
const QUIET: RelationState = { is: "quiet" };
const DUE: RelationState = { is: "due" };
const HANDED: RelationState = { is: "handed" };
const SAID: RelationState = { is: "said", last: false };
const SAID_LAST: RelationState = { is: "said", last: true };
const GONE: RelationState = { is: "gone" };

// A fan-out steps thousands of relations: nothing is made anew for each.
const TO_DUE: RelationStep = { state: DUE, effect: "enqueue" };
const TO_HANDED: RelationStep = { state: HANDED, effect: "hand" };
const TO_QUIET: RelationStep = { state: QUIET, effect: "none" };
const TO_SAID: RelationStep = { state: SAID, effect: "none" };
const TO_SAID_LAST: RelationStep = { state: SAID_LAST, effect: "none" };
const TO_GONE: RelationStep = { state: GONE, effect: "none" };
const STAYS = new Map<RelationState, RelationStep>(
  [OPENING, QUIET, DUE, HANDED, SAID, SAID_LAST, GONE].map((state) => [state, { state, effect: "none" }]),
);

/**
 * The life of a relation (RFC 7641 section 4): one notification at the message layer at a time, the next one only after
 * its acknowledgement (section 4.5.1), and none after the last.
 */
export function stepRelation(state: RelationState, input: RelationInput): RelationStep {
  if (input.on === "lost") return TO_GONE;
  switch (state.is) {
    case "opening":
      return input.on === "opened" ? rest(input.more) : stay(state);
    case "quiet":
      return input.on === "news" ? TO_DUE : stay(state);
    case "due":
      return input.on === "turn" ? TO_HANDED : stay(state);
    case "handed":
    case "said":
      return stepOut(state, input);
    case "gone":
      return stay(state);
  }
}

function stepOut(state: RelationState & { is: "handed" | "said" }, input: RelationInput): RelationStep {
  if (input.on === "withdrawn") return TO_QUIET;
  if (input.on === "spoken") {
    if (input.as === "last") return TO_SAID_LAST;
    return input.as === "con" ? TO_SAID : rest(input.more);
  }
  if (input.on !== "acknowledged" || state.is !== "said") return stay(state);
  return state.last ? TO_GONE : rest(input.more);
}

const rest = (more: boolean): RelationStep => (more ? TO_DUE : TO_QUIET);

const stay = (state: RelationState): RelationStep => STAYS.get(state) ?? { state, effect: "none" };
