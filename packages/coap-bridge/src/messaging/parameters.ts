/** Transmission parameters of RFC 7252 section 4.8, in milliseconds where they are times. */
export const ACK_TIMEOUT_MS = 2000;
export const ACK_RANDOM_FACTOR = 1.5;
export const MAX_RETRANSMIT = 4;
/** Time from the first transmission of a CON to giving up: (2^(MAX_RETRANSMIT + 1) - 1) × 2 s × 1.5. */
export const MAX_TRANSMIT_WAIT_MS = 93_000;
/** As long may the same message id come again from one remote (CON). */
export const EXCHANGE_LIFETIME_MS = 247_000;
/** The same for NON. */
export const NON_LIFETIME_MS = 145_000;
/** Answers to multicast requests are spread over this time. */
export const DEFAULT_LEISURE_MS = 5000;

/** An answer that is ready by then is piggybacked; then an empty acknowledgement goes first (section 5.2.2). */
export const PIGGYBACK_MS = 50;
/** What goes to an address that has not proved itself, per byte that came from it (RFC 9175 section 2.4). */
export const AMPLIFICATION = 3;
/** An answer waits as long for an unproven address to answer a ping; then it becomes a 4.01 with Echo. */
export const PROOF_WAIT_MS = 5000;
/** What may go to a remote that was written down, before anything has come from it: a ping and its repetitions. */
export const REMEMBERED_CREDIT = 64;
/**
 * The first repetition of a ping for proof. libcoap sends at most one reset in 250 ms, and none in the first 250 ms of
 * the second in which it starts; its user would wait 2 to 3 s for the next.
 */
export const PING_AGAIN_MS = 300;
