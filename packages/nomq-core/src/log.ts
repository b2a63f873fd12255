/** Facts that go with a log line. Never secrets, never payloads. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where packages write what an operator may need to know. */
export interface Log {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}

const ignore = (): void => undefined;

/** Writes nothing: the default of everything that takes a log. */
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
