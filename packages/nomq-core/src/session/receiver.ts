/**
 * One transfer at QoS 1 or 2 on its way in. A device's QoS 2 message counts as received with PUBLISH, not with
 * PUBREL: a device that does not subscribe to its own channel never sends PUBREL (protocol.md section 10.3).
 *
 * - `handing`: the application has the message and has not answered.
 * - `received`: taken; ACK or PUBREC was sent, and `repeated` times for identical bytes.
 * - `completed`: QoS 2, PUBREL came and PUBCOMP was sent.
 * - `refused`: not taken, nothing was sent; the peer may try again with a new nonce.
 */
export type ReceiveState =
  | { readonly is: "handing"; readonly qos: 1 | 2; readonly openUntil: number }
  | { readonly is: "received"; readonly qos: 1 | 2; readonly openUntil: number; readonly repeated: number }
  | { readonly is: "completed"; readonly qos: 2 }
  | { readonly is: "refused" };

/** What happens to a transfer. Times are milliseconds of one monotonic clock. */
export type ReceiveInput =
  /** PUBLISH with a fresh nonce and the transfer's packet id. */
  | { readonly on: "publish"; readonly qos: 1 | 2; readonly now: number }
  /** Bytes that came before, from the address they came from. */
  | { readonly on: "identical"; readonly now: number }
  | { readonly on: "verdict"; readonly accepted: boolean }
  | { readonly on: "PUBREL" };

/** What the driver does next. */
export type ReceiveEffect = { readonly hand: "over" } | { readonly reply: "ACK" | "PUBREC" | "PUBCOMP" };

/** Result of {@link stepReceiver}. */
export interface ReceiveStep {
  readonly state: ReceiveState;
  readonly effect?: ReceiveEffect;
}

/** Identical bytes are answered again at most so often: each answer goes to an address nobody has proved. */
const MOST_REPEATED_ANSWERS = 8;
/** A transfer is open to identical bytes for as long as a device's clock would take them, and the way there. */
const OPEN_MS = 60_000;

/** The one transition of a transfer; `undefined` is one that was never heard of. */
export function stepReceiver(state: ReceiveState | undefined, input: ReceiveInput): ReceiveStep | undefined {
  switch (input.on) {
    case "publish":
      return published(state, input);
    case "identical":
      return state === undefined ? undefined : repeated(state, input.now);
    case "verdict":
      return state?.is === "handing" ? judged(state, input.accepted) : undefined;
    case "PUBREL":
      return state === undefined ? undefined : released(state);
  }
}

function published(
  state: ReceiveState | undefined,
  input: Extract<ReceiveInput, { on: "publish" }>,
): ReceiveStep {
  if (state === undefined || state.is === "refused") {
    const begun: ReceiveState = { is: "handing", qos: input.qos, openUntil: input.now + OPEN_MS };
    return { state: begun, effect: { hand: "over" } };
  }
  switch (state.is) {
    case "handing":
      return { state };
    case "received":
      return { state, effect: { reply: firstAnswer(state.qos) } };
    case "completed":
      // Its PUBREC was lost or late; PUBREL will come again.
      return { state, effect: { reply: "PUBREC" } };
  }
}

function repeated(state: ReceiveState, now: number): ReceiveStep {
  if (state.is !== "received" || now >= state.openUntil || state.repeated >= MOST_REPEATED_ANSWERS) {
    return { state };
  }
  return { state: { ...state, repeated: state.repeated + 1 }, effect: { reply: firstAnswer(state.qos) } };
}

function judged(state: Extract<ReceiveState, { is: "handing" }>, accepted: boolean): ReceiveStep {
  if (!accepted) return { state: { is: "refused" } };
  return {
    state: { is: "received", qos: state.qos, openUntil: state.openUntil, repeated: 0 },
    effect: { reply: firstAnswer(state.qos) },
  };
}

function released(state: ReceiveState): ReceiveStep {
  switch (state.is) {
    case "received":
      if (state.qos === 1) return { state };
      return { state: { is: "completed", qos: 2 }, effect: { reply: "PUBCOMP" } };
    case "completed":
      // Never sent by a device; a node repeats PUBREL when it has not seen PUBCOMP.
      return { state, effect: { reply: "PUBCOMP" } };
    case "handing":
    case "refused":
      return { state };
  }
}

function firstAnswer(qos: 1 | 2): "ACK" | "PUBREC" {
  return qos === 1 ? "ACK" : "PUBREC";
}
