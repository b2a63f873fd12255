import { TYPE } from "../../../src/testing/v1-state.ts";
import { isDeformed, seal } from "./sealing.ts";
import { anyone, CHANNEL_ID, fresh, type Ground, junkOf, type Maker, pick, type Shot } from "./shots.ts";

// What anybody on the network can send. Nothing of it may be answered.

/** The two reasons that need no key to tell apart. */
function told(ground: Ground, datagram: Uint8Array): Shot {
  return { datagram, from: anyone(ground), expect: isDeformed(datagram) ? "malformed" : "bad-mac" };
}

const randomBytes: Maker = (ground) => {
  const { random } = ground;
  const length = random.chance(0.001) ? random.between(1500, 60_000) : random.between(0, 300);
  return told(ground, junkOf(ground, length));
};

/** A header that is right in every field, and junk after it. */
const rightHeader: Maker = (ground) => {
  const { random } = ground;
  const length = 16 * random.between(1, 8);
  const datagram = Buffer.from(junkOf(ground, 53 + length + 32));
  datagram.write("NM\u0001", 0, "latin1");
  datagram[3] = random.between(TYPE.publish, TYPE.pubcomp);
  datagram.writeUInt16BE(length, 51);
  return told(ground, datagram);
};

const flippedBits: Maker = (ground) => {
  const { random } = ground;
  const datagram = Buffer.from(pick(random, ground.seen));
  const at = random.between(0, datagram.length - 1);
  datagram[at] = (datagram[at] ?? 0) ^ random.between(1, 255);
  for (let more = random.between(0, 3); more > 0; more -= 1) {
    const other = random.between(0, datagram.length - 1);
    // The first stays changed, so that the packet is never whole again.
    if (other !== at) datagram[other] = (datagram[other] ?? 0) ^ (1 << random.between(0, 7));
  }
  return told(ground, datagram);
};

const cutShort: Maker = (ground) => {
  const whole = pick(ground.random, ground.seen);
  return told(ground, whole.subarray(0, ground.random.between(0, whole.length - 1)));
};

const madeLonger: Maker = (ground) => {
  const whole = pick(ground.random, ground.seen);
  return told(ground, Buffer.concat([whole, junkOf(ground, ground.random.between(1, 64))]));
};

/** A length that lies, with or without a datagram that bears it out. */
const lyingLength: Maker = (ground) => {
  const { random } = ground;
  const whole = pick(random, ground.seen);
  const length = pick(random, [0, 1, 15, 16, 17, 32, 0x7fff, 0xfff0, 0xffff, random.between(0, 0xffff)]);
  const datagram = random.chance(0.5)
    ? Buffer.from(whole)
    : Buffer.alloc(Math.min(53 + length + 32, 60_000), whole);
  if (datagram.length >= 53) datagram.writeUInt16BE(length, 51);
  // The one length that is true, on the whole packet, is a replay: elsewhere.
  if (datagram.equals(whole)) datagram[52] = (datagram[52] ?? 0) ^ 1;
  return told(ground, datagram);
};

/** The head of one packet on the body of another. */
const spliced: Maker = (ground) => {
  const { random } = ground;
  const one = pick(random, ground.seen);
  const other = pick(random, ground.seen);
  const datagram = Buffer.concat([one.subarray(0, 31), other.subarray(31)]);
  if (datagram.equals(other) || datagram.equals(one)) datagram[8] = (datagram[8] ?? 0) ^ 0x55;
  return told(ground, datagram);
};

const wrongKey: Maker = (ground) => {
  const { random } = ground;
  const type = random.between(TYPE.publish, TYPE.pubcomp);
  const draft = {
    type,
    flags: random.between(0, 255),
    packetId: fresh(ground),
    sessionId: fresh(ground),
    timestamp: ground.seconds(),
    channelId: CHANNEL_ID,
    plain: junkOf(ground, random.between(0, 60)),
  };
  return told(ground, seal(draft, ground.stranger, random));
};

/** Each as often as it stands here; sealing with a key costs ten times what the others cost. */
export const WITHOUT_KEY: readonly Maker[] = [
  ...[randomBytes, randomBytes, randomBytes, rightHeader, rightHeader],
  ...[flippedBits, flippedBits, flippedBits, flippedBits, cutShort, madeLonger],
  ...[lyingLength, lyingLength, spliced, spliced, wrongKey],
];
