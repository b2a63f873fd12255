import type { QueuedPublish } from "./session.ts";

/** Bytes that a message has of its own: topic, payload, and the properties that may be long. */
export function bytesOf({ topic, payload, properties }: QueuedPublish): number {
  const bytes = topic.length + payload.length;
  if (properties === undefined) return bytes;
  const { contentType = "", responseTopic = "", correlationData, userProperties = {} } = properties;
  let more = contentType.length + responseTopic.length + (correlationData?.length ?? 0);
  for (const [name, value] of Object.entries(userProperties))
    for (const one of [value].flat()) more += name.length + one.length;
  return bytes + more;
}
