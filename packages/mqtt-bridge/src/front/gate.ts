import { createLane } from "./lane.ts";

/** What of a session lasts: undefined where nothing has to be waited for. */
export interface Durable {
  /** The client is let in: its session begins, goes on or is wiped. */
  connected(): Promise<void> | undefined;
  /** All that has become of its session so far. */
  stored(): Promise<void> | undefined;
}

/** Holds back what a client must not be told before it is stored. */
export interface Gate {
  /** CONNACK: `send` when the session is stored; all else follows it. `failed`: it will not be stored. */
  open(send: () => void, failed: () => void): void;
  /** Keeps what follows a CONNACK that waits; false when there is none. */
  hold(run: () => void): boolean;
  /** Sends in order; with `isHeld` not before the packet id is stored, so that a restart goes on with it. */
  pass(isHeld: boolean, send: () => void): void;
  waiting(): number;
}

/** Makes the gate of one connection; `moved` hears that fewer wait. */
export function createGate(durable: Durable, connection: { isOver(): boolean; moved(): void }): Gate {
  /** What follows a CONNACK that waits for the store. */
  let opening: (() => void)[] | undefined;
  /** Messages that wait for the store, and what must not overtake them. */
  const lane = createLane();
  let held = 0;
  const ignore = (): void => undefined;

  return {
    open(send, failed) {
      const stored = durable.connected();
      if (stored === undefined) {
        send();
        return;
      }
      opening = [];
      stored.then(() => {
        if (connection.isOver()) return;
        send();
        const following = opening ?? [];
        opening = undefined;
        for (const run of following) run();
        connection.moved();
      }, failed);
    },
    hold(run) {
      if (opening === undefined) return false;
      opening.push(run);
      return true;
    },
    pass(isHeld, send) {
      const stored = isHeld ? durable.stored() : undefined;
      if (stored === undefined && held === 0) {
        send();
        return;
      }
      held += 1;
      const go = lane.enter();
      const leave = (): void =>
        go(() => {
          held -= 1;
          if (!connection.isOver()) send();
          connection.moved();
        });
      if (stored === undefined) leave();
      else stored.then(leave, ignore);
    },
    waiting: () => held + (opening?.length ?? 0),
  };
}
