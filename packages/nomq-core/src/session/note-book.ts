import type { StateChange } from "../bridge.ts";
import type { Forgotten, Seen } from "./held-packets.ts";
import type { ReplayWindow } from "./replay-window.ts";
import { headChange, packetChange, type SessionName } from "./window-records.ts";

/** What a fresh packet changed in its window; {@link changesOf} turns it into records. */
export interface Noted {
  readonly session: SessionName;
  readonly window: ReplayWindow;
  readonly seen: Seen;
  readonly forgotten: readonly Forgotten[];
}

/**
 * Notes that wait to be written. A session with many of them is stored by a higher floor instead: after a restart it
 * can repeat nothing, and loses what it stamped with the last second written.
 */
export interface NoteBook {
  add(noted: Noted): void;
  /** The records of the notes of so many sessions, default all, which are notes no more; of fewer that have many. */
  take(sessions?: number): StateChange[];
  /** Sessions with notes. */
  readonly size: number;
}

/** More notes than these of one session count as further sessions, so that what is taken at once costs milliseconds. */
const NOTES_OF_A_SESSION = 4;
/** Of one session. */
const MOST_STORED_SINGLY = 64;
/** Of all: a store that hangs shall not fill our memory. */
const MOST_NOTES = 262_144;

/** The records of one note: the window, the packet, and deletes for what was forgotten. */
export function changesOf(noted: Noted): readonly StateChange[] {
  const { session, window, seen } = noted;
  const head = headChange(session, window);
  // What has been forgotten meanwhile lies below the floor that the head carries.
  const packet = window.held.record(seen.mark) ? [packetChange(session, seen)] : [];
  return [head, ...packet, ...deletesOf(noted)];
}

/** Deletes what was forgotten of what the store holds. */
export function deletesOf({ session, forgotten }: Pick<Noted, "session" | "forgotten">): StateChange[] {
  return forgotten.map(([timestamp, mark]) => ({ key: packetChange(session, { timestamp, mark }).key }));
}

interface Page {
  readonly session: SessionName;
  /** Undefined once there are too many. */
  notes: Noted[] | undefined;
  readonly deletes: StateChange[];
  /** Notes it has had. */
  count: number;
}

/** Makes an empty book. */
export function createNoteBook(): NoteBook {
  const pages = new Map<ReplayWindow, Page>();
  let count = 0;
  return {
    add(noted) {
      const page = pages.get(noted.window) ?? { session: noted.session, notes: [], deletes: [], count: 0 };
      if (page.count === 0) pages.set(noted.window, page);
      page.count += 1;
      count += 1;
      if (page.notes === undefined) {
        page.deletes.push(...deletesOf(noted));
      } else if (page.notes.length < MOST_STORED_SINGLY && count < MOST_NOTES) {
        page.notes.push(noted);
      } else {
        page.deletes.push(...[...page.notes, noted].flatMap(deletesOf));
        page.notes = undefined;
      }
    },
    take(sessions = Number.POSITIVE_INFINITY) {
      const changes: StateChange[] = [];
      let left = sessions;
      for (const [window, { session, notes, deletes, count: had }] of pages) {
        if (left <= 0) break;
        pages.delete(window);
        count -= had;
        left -= Math.max(1, (notes?.length ?? 0) / NOTES_OF_A_SESSION);
        if (notes !== undefined) {
          for (const noted of notes) changes.push(...changesOf(noted));
          continue;
        }
        window.storedFloor = window.newest;
        changes.push(headChange(session, window), ...deletes);
      }
      return changes;
    },
    get size() {
      return pages.size;
    },
  };
}
