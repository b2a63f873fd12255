/** What came may be read for so long of one turn of the event loop, ms. */
const SLICE_MS = 10;

/** A socket whose bytes can be left with the system for a while. */
export interface Pausable {
  pause?(): unknown;
  resume?(): unknown;
}

/**
 * Keeps a server that sends faster than we read from keeping the event loop: Node reads two megabytes in one turn. Told
 * how long each piece took; when they have taken a slice together, the next are read in the next turn. Real time on
 * purpose: it is the real loop that must not stall.
 */
export function createPace(): (tookMs: number, socket: Pausable) => void {
  let spent = 0;
  let isTurnOver = true;
  let paused: Pausable | undefined;
  const next = (): void => {
    isTurnOver = true;
    spent = 0;
    const socket = paused;
    paused = undefined;
    socket?.resume?.();
  };
  return (tookMs, socket) => {
    spent += tookMs;
    if (isTurnOver) setImmediate(next);
    isTurnOver = false;
    if (spent < SLICE_MS || paused !== undefined) return;
    paused = socket;
    socket.pause?.();
  };
}
