/** What ended a stream: characters that are none, XML that is none, or too much of it. */
export class IncomingError extends Error {
  override readonly name = "IncomingError";
  readonly why: "malformed" | "too-large";

  constructor(why: "malformed" | "too-large", text: string, options?: ErrorOptions) {
    super(text, options);
    this.why = why;
  }
}
