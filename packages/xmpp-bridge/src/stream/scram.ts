import { createHash, createHmac, pbkdf2, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

/** Name and password of an account. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** A hash of SCRAM: of RFC 7677, or of RFC 5802. */
export type ScramHash = "sha256" | "sha1";

/** One authentication. Its calls come in this order; each throws where the server does not keep to the mechanism. */
export interface Scram {
  readonly first: string;
  /** Our proof, for the server's challenge. */
  answer(challenge: string): Promise<string>;
  /** Throws unless the server knows the password too. */
  verify(final: string): void;
}

/** Fewer are as good as none: RFC 5802 section 5.1 wants 4096. */
const LEAST_ITERATIONS = 4096;
/** More would keep a thread for seconds at a server's word. */
const MOST_ITERATIONS = 1_000_000;
const LONGEST_CHALLENGE = 4096;

const derive = promisify(pbkdf2);

/** Begins a SCRAM authentication without channel binding. `nonce`: fresh, without commas. */
export function createScram(hash: ScramHash, { username, password }: Credentials, nonce: string): Scram {
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const bare = `n=${username.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  let expected: Buffer | undefined;
  return {
    first: `n,,${bare}`,
    async answer(challenge) {
      const { full, salt, iterations } = readChallenge(challenge, nonce);
      const length = hash === "sha256" ? 32 : 20;
      const salted = await derive(password.normalize("NFKC"), salt, iterations, length, hash);
      const ours = hmac(salted, "Client Key");
      const ending = `c=biws,r=${full}`;
      const said = `${bare},${challenge},${ending}`;
      const signature = hmac(createHash(hash).update(ours).digest(), said);
      expected = hmac(hmac(salted, "Server Key"), said);
      const proof = ours.map((byte, at) => byte ^ (signature[at] ?? 0));
      return `${ending},p=${Buffer.from(proof).toString("base64")}`;
    },
    verify(final) {
      const [, signature = ""] = /^v=([^,]*)/.exec(final) ?? [];
      const given = Buffer.from(signature, "base64");
      if (expected === undefined || given.length !== expected.length || !timingSafeEqual(given, expected))
        throw new Error("the server's signature is wrong: it does not know the password");
    },
  };
}

interface Challenge {
  readonly full: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

/** RFC 5802 section 7: `r=NONCE,s=SALT,i=COUNT`, and nothing before it that we would have to understand. */
function readChallenge(challenge: string, nonce: string): Challenge {
  const found = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,8})(?:,|$)/.exec(challenge);
  if (found === null || challenge.length > LONGEST_CHALLENGE) throw new Error("a challenge that is none");
  const [, full = "", salt = "", count = ""] = found;
  if (!full.startsWith(nonce) || full.length === nonce.length)
    throw new Error("a challenge with another nonce than ours");
  const iterations = Number(count);
  if (iterations < LEAST_ITERATIONS || iterations > MOST_ITERATIONS)
    throw new Error(
      `a challenge of ${iterations} iterations: ${LEAST_ITERATIONS} to ${MOST_ITERATIONS} are done`,
    );
  return { full, salt: Buffer.from(salt, "base64"), iterations };
}
