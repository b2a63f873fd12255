/** Every code that {@link NomqError} carries; `docs/errors.md` explains each. */
export type ErrorCode =
  | "attachment-in-use"
  | "closed"
  | "aborted"
  | "config-invalid"
  | "not-available-yet"
  | "port-in-use"
  | "listen-failed"
  | "filter-invalid"
  | "key-invalid"
  | "datagram-too-large"
  | "store-failed"
  | "store-full"
  | "store-busy"
  | "limit-reached"
  | "receiver-in-use"
  | "store-damaged"
  | "store-newer"
  | "data-in-use"
  | "import-invalid"
  | "gateway-unreachable"
  | "request-refused";

/**
 * The one error class of the public interface. Refusals of a message are receipts, never errors.
 * The message leads with the code, names what is wrong and says what to do.
 */
export class NomqError extends Error {
  override readonly name = "NomqError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, text: string, options?: ErrorOptions) {
    super(`${code}: ${text}`, options);
    this.code = code;
  }
}

/** `ENOENT` and the like of a failed system call; of any other error, what it says. */
export function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error) return String(error.code);
  return error instanceof Error ? error.message : String(error);
}
