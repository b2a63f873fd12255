import type { DiscoveredResource } from "./discover.ts";

/** How often a resource that cannot be observed is read, as configurations write it. */
const EVERY = "60s";

/**
 * The `coap` section of a configuration that takes these resources: lists to be pasted as a whole or line by line. What
 * the server says of a resource stands behind it.
 */
export function sensorLines(resources: readonly DiscoveredResource[]): string {
  const line = ({ url, channel, attributes }: DiscoveredResource, more = ""): string => {
    const said = Object.entries(attributes).map(([name, value]) => `${name}=${oneLine(value)}`);
    const comment = said.length === 0 ? "" : `   # ${said.join(" ")}`;
    return `    - { url: ${JSON.stringify(url)}, channel: ${JSON.stringify(channel)}${more} }${comment}\n`;
  };
  const observed = resources.filter(({ observable }) => observable).map((each) => line(each));
  const polled = resources
    .filter(({ observable }) => !observable)
    .map((each) => line(each, `, every: ${EVERY}`));
  return [
    "coap:\n",
    observed.length === 0 ? "" : `  observe:\n${observed.join("")}`,
    polled.length === 0 ? "" : `  poll:\n${polled.join("")}`,
  ].join("");
}

/** A device chose these words: they end no comment and drive no terminal. */
function oneLine(text: string): string {
  const plain = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ").slice(0, 120);
  return /\s|^$/.test(plain) ? JSON.stringify(plain) : plain;
}
