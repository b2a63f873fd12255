// A sensor that is observed and a valve that is written to: resources of another CoAP server, here one of ours.
// Prints: sensors/roof 21.5
// Prints: the valve is told: delivered
import { createCoapBridge } from "@nomq/coap-bridge";
import { createHub } from "@nomq/core";

await using things = createHub();
things.add(createCoapBridge({ listen: ["coap://127.0.0.1:5683"] }));
await things.start();
await things.port("roof").publish({ channel: "temp", payload: Buffer.from("21.5"), retain: true }, "*");

const coap = createCoapBridge({
  listen: [],
  observe: [{ url: "coap://127.0.0.1/temp", channel: "sensors/roof" }],
  send: [{ name: "valve", from: "actuators/valve", url: "coap://127.0.0.1/valve" }],
});
await using hub = createHub();
hub.add(coap);
await hub.start();

const port = hub.port("example");
const sensed = Promise.withResolvers<string>();
await port.attach({
  ...{ name: "example:reader", as: "*", filters: ["sensors/#"], durable: false, retained: "deliver" },
  async deliver({ channel, payload }) {
    sensed.resolve(`${channel} ${Buffer.from(payload)}`);
    return { is: "delivered" };
  },
});
console.log(await sensed.promise);

const open = { channel: "actuators/valve", payload: Buffer.from("open"), qos: 1 } as const;
const receipt = await port.publish(open, "*", { until: "delivered" });
console.log(`the valve is told: ${receipt.at}`);
