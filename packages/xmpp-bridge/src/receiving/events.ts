import type { Port } from "@nomq/core";
import type { Asking } from "../nodes/listing.ts";
import { channelOfNode } from "../nodes/node-name.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import { readCurrent } from "./catch-up.ts";
import { isStateOf } from "./gone-state.ts";
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
  readonly port: Pick<Port, "latest">;
  /** The attachment that messages come from. */
  readonly attachment: string;
  /** Our own name in items. */
  readonly gateway: string;
  changed?(channel: string): void;
}

/** Acts on what is told of a node. */
export interface Events {
  /** `gone`: the node was deleted. */
  take(place: Place, event: NodeEvent, mayRepeat: boolean): Promise<"gone" | "goes on">;
  /** Somebody configured or deleted the node. */
  configured(node: string): void;
}

/**
 * Whether the hub has another state than the one that lay there, and not from there: it was set meanwhile, and is published
 * on what is there now. Cleared, it would lie on the node and not be in the hub.
 */
async function hasNewer(
  { channel, memory }: Place,
  { attachment, gateway, port }: EventsOptions,
): Promise<boolean> {
  const value = await port.latest(channel, "*").catch(() => undefined);
  return value !== undefined && value.origin !== attachment && !isStateOf(value, memory, gateway);
}

/** Makes it. */
export function createEvents(options: EventsOptions): Events {
  const { asking, changed, intake, sentItems, tally } = options;
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
    if (place.memory.current === undefined) return;
    // What was taken in before is in the hub.
    await place.inflow.rest();
    if (!(await hasNewer(place, options))) {
      await intake.clear(place);
      return;
    }
    place.memory = withCurrent(place.memory, undefined);
    place.inflow.pass(place.memory);
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
