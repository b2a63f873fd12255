// A resource of a program's own beside the channels, in node-coap's request and response style, found in discovery.
//
// Run: npx node --conditions=@nomq/source examples/coap-own-resource.ts
// Prints: </admin/uptime>;rt="example.uptime"
// Prints: addr:127.0.0.1 asks for GET /admin/uptime
import { createCoapBridge } from "@nomq/coap-bridge";
import { createHub } from "@nomq/core";
import { request } from "coap";

await using hub = createHub();
const bridge = createCoapBridge({
  listen: ["coap://127.0.0.1:0"],
  resources: [
    {
      path: "admin/uptime",
      attributes: { rt: "example.uptime" },
      handle(asked, response, { principal }) {
        response.setOption("Content-Format", "text/plain");
        response.end(`${principal} asks for ${asked.method} ${asked.url}`);
      },
    },
  ],
});
hub.add(bridge);
await hub.start();

const get = (path: string): Promise<string> =>
  new Promise((resolve) => {
    const asking = request(`${bridge.addresses()[0]}${path}`);
    asking.on("response", ({ payload }) => resolve(payload.toString()));
    asking.end();
  });
console.log(await get("/.well-known/core?rt=example.uptime"));
console.log(await get("/admin/uptime"));
