// A CoAP server in your own process, whose resources your program can write and read.
// Prints: greenhouse/light on
import { createCoapBridge } from "@nomq/coap-bridge";
import { createHub } from "@nomq/core";

await using hub = createHub();
hub.add(createCoapBridge({ listen: ["coap://127.0.0.1:5683"] }));
await hub.start();

const port = hub.port("example");
const setpoint = { channel: "greenhouse/setpoint", payload: Buffer.from("21.5") };
await port.publish({ ...setpoint, contentType: "text/plain", retain: true }, "*");

// A device: any CoAP client does, here node-coap's.
const { request } = await import("coap");
const device = (method: "GET" | "PUT", pathname: string, body = ""): Promise<{ payload: Buffer }> =>
  new Promise((resolve) => request({ method, pathname }).on("response", resolve).end(body));
console.log((await device("GET", "/greenhouse/setpoint")).payload.toString());

await device("PUT", "/greenhouse/light", "on");
const value = await port.latest("greenhouse/light", "*");
console.log(value?.channel, Buffer.from(value?.payload ?? []).toString());
