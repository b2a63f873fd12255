import { measureFanOut } from "./fan-out.ts";
import { measureFloods } from "./floods-measured.ts";
import { measureObserverMemory } from "./observer-memory.ts";
import { measureRequests } from "./requests-measured.ts";

/**
 * CoAP through the gateway process (`data: memory`) against a bare UDP echo, a bare loop over coap-packet and libcoap's
 * server, each in a process of its own, asked by the same generator in the same run. Resolves with whether every
 * target was met.
 */
export async function benchCoap(): Promise<boolean> {
  const requests = await measureRequests();
  const fanOut = await measureFanOut(requests.echoMicros);
  const memory = await measureObserverMemory();
  const floods = await measureFloods();
  return [requests.isWell, fanOut, memory, floods].every(Boolean);
}
