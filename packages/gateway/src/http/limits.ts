/** What one HTTP listener takes at most. Times in milliseconds. */
export interface HttpLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** Requests under way, streams among them; one more is answered 503. */
  readonly requests: number;
  readonly requestsPerConnection: number;
  /** Lines of a header, and their bytes. */
  readonly headers: number;
  readonly headerBytes: number;
  /** Until a request's header, and all of it, has arrived; and how often that is looked at. */
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly checkInterval: number;
  /** A connection without a request. */
  readonly keepAliveTimeout: number;
  /** What is under way at the end. */
  readonly grace: number;
  /** Requests of one caller: per second, and saved up. */
  readonly perSecond: number;
  readonly burst: number;
}

/** The limits of every listener (docs/api.md). */
export const HTTP_LIMITS: HttpLimits = {
  connections: 1_024,
  connectionsPerAddress: 512,
  requests: 512,
  requestsPerConnection: 10_000,
  headers: 100,
  headerBytes: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  checkInterval: 1_000,
  keepAliveTimeout: 10_000,
  grace: 5_000,
  perSecond: 500,
  burst: 1_000,
};
