/** What a key's first byte says that it is of. */
export const KIND = {
  session: 0x50,
  subscription: 0x51,
  entry: 0x52,
  transfer: 0x53,
  will: 0x55,
  body: 0x56,
  ledger: 0x57,
} as const;

/** The key of a thing of a session, or of a body: numbers rise with the key. */
function numbered(kind: number, number: number, rest = 0): Buffer {
  const key = Buffer.allocUnsafe(7 + rest);
  key[0] = kind;
  key.writeUIntBE(number, 1, 6);
  return key;
}

export const sessionKey = (session: number): Uint8Array => numbered(KIND.session, session);
export const bodyKey = (body: number): Uint8Array => numbered(KIND.body, body);
export const ledgerKey = (): Uint8Array => Uint8Array.of(KIND.ledger);
export const willKey = (clientId: string): Uint8Array =>
  Buffer.concat([Uint8Array.of(KIND.will), Buffer.from(clientId)]);

export function subscriptionKey(session: number, filter: string): Uint8Array {
  return Buffer.concat([numbered(KIND.subscription, session), Buffer.from(filter)]);
}

export function entryKey(session: number, order: number): Uint8Array {
  const key = numbered(KIND.entry, session, 6);
  key.writeUIntBE(order, 7, 6);
  return key;
}

export function transferKey(session: number, messageId: number): Uint8Array {
  const key = numbered(KIND.transfer, session, 2);
  key.writeUInt16BE(messageId, 7);
  return key;
}

/** The number after the kind, and the one after that. */
export function numbersOf(key: Uint8Array): readonly [number: number, rest: number] {
  const left = key.byteLength - 7;
  const number = left < 0 ? 0 : bigEndian(key, 1, 6);
  return [number, left === 6 || left === 2 ? bigEndian(key, 7, left) : 0];
}

/** Without a view: this is asked for each of a million records. */
function bigEndian(bytes: Uint8Array, from: number, size: number): number {
  let number = 0;
  for (let at = from; at < from + size; at += 1) number = number * 256 + (bytes[at] ?? 0);
  return number;
}
