/** FNV-1a over all bytes, 32 bits: tells a repetition from another message under the same message id. */
export function fingerprintOf(datagram: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < datagram.length; at += 1) hash = Math.imul(hash ^ (datagram[at] ?? 0), 0x01000193);
  return hash | 0;
}
