import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** The cost of a new hash (RFC 7914): 32 MiB and some 0.1 s for one guess. */
const COST = { N: 32_768, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** What a hash in a configuration file may ask of this machine. */
const MOST_MEMORY = 256 * 1024 * 1024;

interface Parts {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** `scrypt$N$r$p$SALT$HASH`, salt and hash in base64url: what `access.users[].password` holds. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, { ...COST, salt, hash: Buffer.alloc(HASH_BYTES) });
  const { N, r, p } = COST;
  return `scrypt$${N}$${r}$${p}$${salt.toString("base64url")}$${hash.toString("base64url")}`;
}

/** Whether the text is a hash that this machine can check. */
export function isPasswordHash(text: string): boolean {
  return partsOf(text) !== undefined;
}

/** Compares in constant time, on the thread pool. A text that is no hash fits no password. */
export async function verifyPassword(password: string, hashed: string): Promise<boolean> {
  const parts = partsOf(hashed);
  if (parts === undefined) return false;
  return timingSafeEqual(await derive(password, parts), parts.hash);
}

function partsOf(text: string): Parts | undefined {
  const fields = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([\w-]{16,128})\$([\w-]{22,128})$/.exec(text);
  if (fields === null) return undefined;
  const [N = 0, r = 0, p = 0] = fields.slice(1, 4).map(Number);
  const isPowerOfTwo = N > 1 && (N & (N - 1)) === 0;
  if (!isPowerOfTwo || r < 1 || p < 1 || p > 16 || 128 * N * r > MOST_MEMORY) return undefined;
  const [salt, hash] = [fields[4] ?? "", fields[5] ?? ""].map((field) => Buffer.from(field, "base64url"));
  return salt === undefined || hash === undefined ? undefined : { N, r, p, salt, hash };
}

function derive(password: string, { N, r, p, salt, hash }: Parts): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // NFKC as RFC 8265 (PRECIS) has it: the same password typed on two keyboards.
    scrypt(
      password.normalize("NFKC"),
      salt,
      hash.length,
      { N, r, p, maxmem: 2 * MOST_MEMORY },
      (error, derived) => {
        if (error === null) resolve(derived);
        else reject(error);
      },
    );
  });
}
