/** Numbers of stanzas go round at 2^32 (XEP-0198 section 4). */
const ROUND = 2 ** 32;

/** What is left of a stream that ended, with which another connection can go on where it stopped. */
export interface Resumable {
  /** The server's name of it. */
  readonly id: string;
  readonly jid: string;
  /** Stanzas we had from the server. */
  readonly received: number;
  /** Stanzas the server said it had from us. */
  readonly acknowledged: number;
  /** Those after them, as they were written. */
  readonly unacknowledged: readonly string[];
}

/** Counts what goes and comes on one stream, XEP-0198. */
export interface StreamManagement {
  /** A stanza of the server came. */
  countReceived(): void;
  /** Our `h`. */
  received(): number;
  sent(stanza: string): void;
  /** How many the server has not acknowledged. */
  open(): number;
  /** Characters of those. */
  openCharacters(): number;
  /** The server's `h`. False: it has more than we sent, so that nobody can tell what arrived. */
  acknowledge(h: string | undefined): boolean;
  /** What the server has not got, to be sent again after a resumption. */
  unacknowledged(): readonly string[];
  resumable(): Resumable | undefined;
}

/** Counts from the beginning (`id` absent: the server does not resume), or goes on. */
export function createStreamManagement(begin: {
  readonly id?: string;
  readonly jid: string;
  readonly from?: Resumable;
}): StreamManagement {
  const { id, jid, from } = begin;
  let received = from?.received ?? 0;
  let acknowledged = from?.acknowledged ?? 0;
  const open: string[] = [...(from?.unacknowledged ?? [])];
  const lengthOf = (stanzas: readonly string[]): number =>
    stanzas.reduce((sum, { length }) => sum + length, 0);
  let characters = lengthOf(open);
  return {
    countReceived() {
      received = (received + 1) % ROUND;
    },
    received: () => received,
    sent(stanza) {
      open.push(stanza);
      characters += stanza.length;
    },
    open: () => open.length,
    openCharacters: () => characters,
    acknowledge(h) {
      const count = Number(h);
      if (h === undefined || !/^\d{1,10}$/.test(h) || count >= ROUND) return false;
      const more = (count - acknowledged + ROUND) % ROUND;
      if (more > open.length) return false;
      characters -= lengthOf(open.splice(0, more));
      acknowledged = count;
      return true;
    },
    unacknowledged: () => [...open],
    resumable: () =>
      id === undefined ? undefined : { id, jid, received, acknowledged, unacknowledged: [...open] },
  };
}
