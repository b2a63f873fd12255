import { hash } from "node:crypto";
import type { CancelTimer, Clock, Port, Qos, StateChange } from "@nomq/core";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { EXCHANGE_LIFETIME_MS } from "../messaging/parameters.ts";
import { type Code, Method } from "../wire/code.ts";

/** So many names are kept; the oldest go first, as they do at the hub. */
const MOST = 100_000;
/** Names whose time is over go together. */
const AT_ONCE_MS = 1_000;
/** Names of one kind in a bridge's own state. */
const STATE = "transfer/";
/** Longer channels go into names as their digest: the hub keeps names for a day, and a channel may have 65,535 bytes. */
const LONGEST_IN_NAME = 256;

/** A transfer's name at the hub, and what must be written with its message. */
export interface TransferName {
  readonly name: string;
  /** Absent: the hub keeps it as long as it keeps any. */
  readonly state: readonly StateChange[];
  readonly isByMessageId: boolean;
}

/**
 * Names under which the hub routes a message once: `?id=` as long as the hub remembers it (24 h), from whatever address;
 * at QoS 2 else endpoint and message id, for as long as these name one message, over restarts too.
 */
export interface Transfers {
  nameOf(
    request: IncomingRequest,
    of: { readonly qos: Qos; readonly id: string | undefined; readonly channel: string },
  ): TransferName | undefined;
  /** The publish has ended; `isTaken`: the hub holds the name. */
  begun(transfer: TransferName, isTaken: boolean): void;
  /** Reads what an earlier run has left. */
  restore(): Promise<void>;
  close(): void;
}

/** Makes the names. Clock steps do not matter: what an earlier run has left lives a whole time again. */
export function createTransfers(port: Pick<Port, "release" | "remember" | "state">, clock: Clock): Transfers {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const due: { readonly name: string; readonly at: number }[] = [];
  let timer: CancelTimer | undefined;
  let isClosed = false;

  const keyOf = (name: string): Uint8Array => encoder.encode(STATE + name);
  const forget = (): void => {
    timer = undefined;
    const now = clock.monotonic();
    const over = due.findIndex(({ at }) => at > now);
    release(due.splice(0, over === -1 ? due.length : over));
    wait();
  };
  const release = (gone: readonly { readonly name: string }[]): void => {
    for (const { name } of gone) port.release(name);
    // A store that does not take it is asked again with the next run's.
    void port.remember(gone.map(({ name }) => ({ key: keyOf(name) }))).catch(() => undefined);
  };
  const wait = (): void => {
    const [first] = due;
    if (first === undefined || timer !== undefined || isClosed) return;
    timer = clock.after(Math.max(first.at - clock.monotonic(), AT_ONCE_MS), forget);
  };
  const live = (name: string): void => {
    due.push({ name, at: clock.monotonic() + EXCHANGE_LIFETIME_MS });
    if (due.length > MOST) release(due.splice(0, due.length - MOST + MOST / 100));
    wait();
  };

  return {
    nameOf({ from, code, messageId, fingerprint }, { qos, id, channel }) {
      if (id !== undefined) return { name: nameById({ code, id, channel }), state: [], isByMessageId: false };
      if (qos !== 2) return undefined;
      const name = `coap/${from.key}/${messageId}/${fingerprint.toString(16)}`;
      return { name, state: [{ key: keyOf(name), value: new Uint8Array([1]) }], isByMessageId: true };
    },
    begun({ name, isByMessageId }, isTaken) {
      if (isByMessageId && isTaken) live(name);
    },
    async restore() {
      for await (const [key] of port.state()) {
        const text = decoder.decode(key);
        if (text.startsWith(STATE)) live(text.slice(STATE.length));
      }
    },
    close() {
      isClosed = true;
      timer?.();
      timer = undefined;
    },
  };
}

/** Both may hold slashes; `a/b` at `c` is not `a` at `b/c`. Nor is a DELETE the PUT before: nothing would be deleted. */
function nameById({ code, id, channel }: { code: Code; id: string; channel: string }): string {
  // No channel has a `#`.
  const where = channel.length <= LONGEST_IN_NAME ? channel : `#${hash("sha256", channel, "base64url")}`;
  const kind = code === Method.put ? "id" : `id-${code}`;
  return `coap/${kind}/${encodeURIComponent(id)}/${where}`;
}
