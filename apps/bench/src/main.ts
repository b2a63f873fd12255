// npm run bench -w apps/bench -- NAME: each benchmark prints ratios against references measured in the same run.

/** Resolves with whether every target was met. */
const benches: Readonly<Record<string, () => Promise<boolean>>> = {
  packet: async () => (await import("./packet.ts")).benchPacket(),
  hub: async () => (await import("./hub/hub.ts")).benchHub(),
  gateway: async () => (await import("./gateway-throughput/gateway-throughput.ts")).benchGateway(),
  "round-trips": async () => (await import("./round-trips/round-trips.ts")).benchRoundTrips(),
  "stored-acks": async () => (await import("./stored-acks/stored-acks.ts")).benchStoredAcks(),
  recovery: async () => (await import("./recovery/recovery.ts")).benchRecovery(),
  memory: async () => (await import("./memory/memory.ts")).benchMemory(),
  "channels-and-peers": async () =>
    (await import("./channels-and-peers/channels-and-peers.ts")).benchChannelsAndPeers(),
  coap: async () => (await import("./coap/coap.ts")).benchCoap(),
  xmpp: async () => (await import("./xmpp/xmpp.ts")).benchXmpp(),
};

const name = process.argv[2] ?? "";
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  console.error(`Say which benchmark: ${Object.keys(benches).join(", ")}`);
  process.exitCode = 2;
} else {
  console.log(`${name}, Node ${process.versions.node}, ${process.platform} ${process.arch}`);
  process.exitCode = (await bench()) ? 0 : 1;
}
