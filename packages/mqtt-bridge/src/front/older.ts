/**
 * QoS 1 messages on their way to a session that lasts. After a crash they come again, a QoS 2 message does not: one
 * that left before an older QoS 1 of its topic was acknowledged would be followed by that older value.
 */
export interface Older {
  /** A QoS 1 message is on its way. */
  sends(id: number, topic: string): void;
  acknowledged(id: number): void;
  /** Resolves when those of the topic so far are acknowledged and that is stored; undefined: there are none. */
  gone(topic: string): Promise<void> | undefined;
}

/** What one QoS 2 message waits for. */
interface Group {
  left: number;
  readonly gone: PromiseWithResolvers<void>;
}

/** Makes it; `stored` as in {@link Durable}. */
export function createOlder(stored: () => Promise<void> | undefined): Older {
  const byTopic = new Map<string, Group>();
  const byId = new Map<number, { readonly group: Group; readonly topic: string }>();
  const leave = (group: Group, topic: string): void => {
    group.left -= 1;
    if (group.left > 0) return;
    if (byTopic.get(topic) === group) byTopic.delete(topic);
    group.gone.resolve();
  };
  return {
    sends(id, topic) {
      const group = byTopic.get(topic) ?? { left: 0, gone: Promise.withResolvers<void>() };
      byTopic.set(topic, group);
      group.left += 1;
      byId.set(id, { group, topic });
    },
    acknowledged(id) {
      const one = byId.get(id);
      if (one === undefined) return;
      byId.delete(id);
      // aedes is told in this turn, and the session by it.
      setImmediate(() => {
        const rest = stored();
        const left = (): void => leave(one.group, one.topic);
        if (rest === undefined) left();
        else rest.then(left, () => undefined);
      });
    },
    gone(topic) {
      const group = byTopic.get(topic);
      // What comes from now on is behind the one that asks.
      byTopic.delete(topic);
      return group?.gone.promise;
    },
  };
}
