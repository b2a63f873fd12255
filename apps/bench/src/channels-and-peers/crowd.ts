// One node in memory among many channels and peers, in a process of its own: its heap is its own too.
import { type Crowd, createCrowd, type Work } from "./node-in-crowd.ts";

const [channels, peers] = process.argv.slice(2).map(Number);
const crowd: Crowd = await createCrowd({ channels: channels ?? 0, peers: peers ?? 0 });
// What the parent sends are names of work, one at a time.
process.on("message", (work: Work) => void crowd.run(work).then((micros) => process.send?.(micros)));
process.send?.("ready");
