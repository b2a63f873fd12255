import type { World, WorldOptions } from "./world.ts";

export const CHANNEL = "roof/t";
export const observing = (more: object = {}): WorldOptions["client"] => ({
  observe: [{ url: "coap://10.0.0.9/temp", channel: CHANNEL, ...more }],
});

/** A sensor that takes observations: the first state is `1`. */
export const willing = (maxAge?: number): NonNullable<WorldOptions["prepare"]> => {
  let observe = 10;
  return (peer) => {
    peer.serve = () => {
      observe += 1;
      return { observe, format: 0, payload: "1", ...(maxAge === undefined ? {} : { maxAge }) };
    };
  };
};
export const stateOf = ({ client }: World): string | undefined => client.sensors()[0]?.state;
