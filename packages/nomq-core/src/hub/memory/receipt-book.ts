import type { FinalOutcome, Receipt, ReceiptOutcome } from "../../bridge.ts";
import type { Message } from "../../message.ts";

const FIRST_CAPACITY = 1024;
/** The last digits of an id that a hub has made are its message's number. */
const NUMBER_DIGITS = 16;

/**
 * Receipts of stored messages, the newest ones: a ring of columns in the order of their numbers. A map of objects by id
 * would cost a stored message more than all else that is done with it.
 */
export class ReceiptBook {
  private readonly most: number;
  private capacity: number;
  /** Where the oldest stands, and how many there are. */
  private first = 0;
  private count = 0;
  private seqs: Float64Array;
  private times: Float64Array;
  private ids: string[] = [];
  private channels: string[] = [];
  private receivers: (readonly string[])[] = [];
  private ended: (Map<string, ReceiptOutcome> | undefined)[] = [];

  constructor(most: number) {
    this.most = most;
    this.capacity = Math.min(FIRST_CAPACITY, most);
    this.seqs = new Float64Array(this.capacity);
    this.times = new Float64Array(this.capacity);
  }

  open({ id, seq, channel, publishedAt }: Message, to: readonly string[]): void {
    if (this.most === 0) return;
    if (this.count === this.capacity) this.makeRoom();
    // Numbers rise nearly always; one that comes late goes where it belongs.
    let place = this.count;
    this.count += 1;
    for (; place > 0 && (this.seqs[this.at(place - 1)] ?? 0) > seq; place -= 1) this.move(place - 1, place);
    const at = this.at(place);
    this.seqs[at] = seq;
    this.times[at] = publishedAt;
    this.ids[at] = id;
    this.channels[at] = channel;
    this.receivers[at] = to;
    this.ended[at] = undefined;
  }

  settle(message: Message, end: { name: string; is: FinalOutcome; reason?: string; at: number }): void {
    const place = this.find(message.id, message.seq);
    if (place === -1) return;
    const { name, is, reason, at } = end;
    const ended = this.ended[place] ?? new Map<string, ReceiptOutcome>();
    this.ended[place] = ended;
    ended.set(name, { attachment: name, is, ...(reason === undefined ? {} : { reason }), at });
  }

  receipt(id: string): Receipt | undefined {
    const place = this.placeOf(id);
    if (place === -1) return undefined;
    const outcomes = (this.receivers[place] ?? []).map(
      (attachment) =>
        this.ended[place]?.get(attachment) ??
        ({ attachment, is: "pending", at: this.times[place] ?? 0 } as const),
    );
    const isDelivered = outcomes.length > 0 && outcomes.every((outcome) => outcome.is === "delivered");
    return { id, channel: this.channels[place] ?? "", at: isDelivered ? "delivered" : "stored", outcomes };
  }

  private placeOf(id: string): number {
    const seq = Number.parseInt(id.slice(NUMBER_DIGITS), 16);
    const place = Number.isSafeInteger(seq) ? this.find(id, seq) : -1;
    // Ids that no hub has made say nothing of their number.
    return place === -1 && id.length !== 2 * NUMBER_DIGITS ? this.ids.indexOf(id) : place;
  }

  /** Where the message with that number stands, or -1. */
  private find(id: string, seq: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.seqs[this.at(middle)] ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    const at = this.at(low);
    return low < this.count && this.ids[at] === id ? at : -1;
  }

  private at(place: number): number {
    const at = this.first + place;
    return at < this.capacity ? at : at - this.capacity;
  }

  private move(from: number, to: number): void {
    const [source, target] = [this.at(from), this.at(to)];
    this.seqs[target] = this.seqs[source] ?? 0;
    this.times[target] = this.times[source] ?? 0;
    this.ids[target] = this.ids[source] ?? "";
    this.channels[target] = this.channels[source] ?? "";
    this.receivers[target] = this.receivers[source] ?? [];
    this.ended[target] = this.ended[source];
  }

  /** Forgets the oldest, or takes up more room while there is some. */
  private makeRoom(): void {
    if (this.capacity === this.most) {
      this.first = this.at(1);
      this.count -= 1;
      return;
    }
    // It was never turned: the first stands at the beginning.
    this.capacity = Math.min(this.capacity * 2, this.most);
    this.seqs = grown(this.seqs, this.capacity);
    this.times = grown(this.times, this.capacity);
  }
}

function grown(column: Float64Array, capacity: number): Float64Array {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}
