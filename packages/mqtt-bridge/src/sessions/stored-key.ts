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
  const key = Buffer.allocUnsafeSlow(7 + rest);
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
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  if (bytes.length < 7) return [0, 0];
  const left = bytes.length - 7;
  return [bytes.readUIntBE(1, 6), left === 6 || left === 2 ? bytes.readUIntBE(7, left) : 0];
}
