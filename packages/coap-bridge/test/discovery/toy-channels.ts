import type { Message, Principal } from "@nomq/core";
import { createFakeClock, type FakeClock, settle } from "@nomq/core/testing";
import { createChannelNames } from "../../src/discovery/channel-names.ts";
import { createDiscovery, type Discovery } from "../../src/discovery/discovery.ts";
import type { Link } from "../../src/wire/link-format.ts";
import { createUriPaths } from "../../src/wire/uri-path.ts";

/** A channel of a test; absent: no value. */
export interface ToyValue {
  readonly payload?: Uint8Array;
  readonly formats?: readonly number[];
}

/** Discovery over channels that a test makes up. */
export interface ToyChannels {
  readonly clock: FakeClock;
  readonly discovery: Discovery;
  /** How often a value was read. */
  reads(): number;
  learn(name: string, value?: ToyValue): void;
}

export const ANN: Principal = "user:ann";

export interface ToyOptions {
  readonly prefix?: string;
  readonly others?: readonly Link[];
  /** Whether somebody may. Default: everything. */
  readonly may?: (who: Principal, action: "publish" | "subscribe", channel: string) => boolean;
}

export async function createToyChannels(
  names: readonly string[] = [],
  options: ToyOptions = {},
): Promise<ToyChannels> {
  const { prefix = "", others = [], may = () => true } = options;
  const clock = createFakeClock();
  const known = new Map<string, ToyValue>(names.map((name) => [name, {}]));
  const follow: ((name: string) => void)[] = [];
  let reads = 0;
  const list = createChannelNames();
  async function* channels(): AsyncGenerator<string> {
    yield* known.keys();
    for (;;) yield await new Promise<string>((resolve) => follow.push(resolve));
  }
  list.start({ channels });
  const latest = async (channel: string): Promise<Message | undefined> => {
    reads += 1;
    const value = known.get(channel);
    // Discovery looks at the payload's length only.
    return value?.payload === undefined ? undefined : ({ channel, payload: value.payload } as Message);
  };
  const discovery = createDiscovery({
    clock,
    names: list,
    port: { latest, may },
    paths: createUriPaths(prefix),
    formatsOf: ({ channel }) => known.get(channel)?.formats ?? [],
    others: () => others,
  });
  await settle();
  while (names.length > 0 && list.end() < names.length) await settle(1);
  return {
    clock,
    discovery,
    reads: () => reads,
    learn(name, value = {}) {
      known.set(name, value);
      follow.shift()?.(name);
    },
  };
}
