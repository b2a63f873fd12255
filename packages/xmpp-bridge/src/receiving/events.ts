import type { Asking } from "../nodes/listing.ts";
import { channelOfNode } from "../nodes/node-name.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import { readCurrent } from "./catch-up.ts";
import type { Intake } from "./intake.ts";
import { withCurrent } from "./node-memory.ts";
import type { NodeEvent } from "./notification.ts";
import type { Place } from "./place.ts";
import type { SentItems } from "./sent-items.ts";
import type { Tally } from "./tally.ts";

/** What events need. */
export interface EventsOptions {
  readonly asking: Asking;
  readonly intake: Intake;
  readonly tally: Tally;
  readonly sentItems: SentItems;
  changed?(channel: string): void;
}

/** Acts on what is told of a node. */
export interface Events {
  /** `gone`: the node was deleted. */
  take(place: Place, event: NodeEvent, mayRepeat: boolean): Promise<"gone" | "goes on">;
  /** Somebody configured or deleted the node. */
  configured(node: string): void;
}

/** Makes it. */
export function createEvents({ asking, changed, intake, sentItems, tally }: EventsOptions): Events {
  const retracted = async (place: Place, id: string): Promise<void> => {
    // A server that tells of evicted items uses the same words: only the state is ever cleared.
    if (id !== STATE_ITEM) {
      tally.add("evicted");
      return;
    }
    if (sentItems.take({ node: place.node, item: id })) {
      tally.add("echoes");
      place.memory = withCurrent(place.memory, undefined);
      place.inflow.pass(place.memory);
      return;
    }
    // It too may have been evicted. What is there now was published since, and is told yet, in its turn.
    await place.inflow.rest();
    const now = await readCurrent(asking, place.node);
    // Where nobody can tell, the word of the notification holds.
    if (now === undefined || ("is" in now && now.is === "error")) await intake.clear(place);
  };
  const emptied = async (place: Place): Promise<void> => {
    if (place.memory.current !== undefined) await intake.clear(place);
  };

  return {
    async take(place, event, mayRepeat) {
      switch (event.is) {
        case "item":
          await intake.item(place, event.item, { isHistory: false, mayRepeat, stamp: event.stamp });
          return "goes on";
        case "retract":
          await retracted(place, event.id);
          return "goes on";
        case "purge":
          await emptied(place);
          return "goes on";
        case "configuration":
          tally.add("configurations");
          return "goes on";
        case "delete":
          await emptied(place);
          return "gone";
      }
    },
    configured(node) {
      const channel = channelOfNode(node);
      if (channel !== undefined && channel !== "title") changed?.(channel);
    },
  };
}
