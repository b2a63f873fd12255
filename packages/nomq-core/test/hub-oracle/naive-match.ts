/**
 * Whether an MQTT filter covers a channel, level by level and with nothing in common with the code under test
 * (MQTT 5.0 section 4.7.1).
 */
export function naiveMatch(filter: string, channel: string): boolean {
  return covers(filter.split("/"), channel.split("/"));
}

function covers(filter: readonly string[], channel: readonly string[]): boolean {
  const [want, ...restOfFilter] = filter;
  const [level, ...restOfChannel] = channel;
  if (want === "#") return true;
  if (want === undefined) return level === undefined;
  if (level === undefined) return false;
  return (want === "+" || want === level) && covers(restOfFilter, restOfChannel);
}
