import { nameOfEnd, WAY_ENDS } from "../../packages/gateway/src/mapping.ts";

const ends = WAY_ENDS.map(nameOfEnd);

/** Cells that no message of the walk shows, and what does. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  "from nomq:device presence": "heartbeats: the tests of the NoMQ bridge's presence",
  "from nomq:node presence": "as above",
  "from mqtt:3.1.1 qos3": "the broker's fuzz tests: malformed",
  "from mqtt:5 qos3": "as above",
  "from coap:con presence": "a sensor that falls silent: the tests of the CoAP client",
  "from coap:non presence": "as above",
  "from coap:con qos3": "4.00: the CoAP bridge's tests of resources",
  "from coap:non qos3": "as above",
  "from xmpp:item presence": "nobody's presence is followed: nothing happens",
  "from xmpp:plain presence": "as above",
  "from xmpp:item qos3": "an attribute that is not looked at: the tests of payloads",
  "from xmpp:plain qos3": "as above",
  "from nomq:node qos3": "a node of ours cannot be made to send it",
  ...Object.fromEntries(ends.map((end) => [`from ${end} no-value`, "nothing happens"])),
  ...Object.fromEntries(ends.map((end) => [`to ${end} qos3`, "the hub's type of a QoS"])),
};
