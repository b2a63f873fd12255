import type { AckPoint, AttachmentState, DevicePresence, NomqNames, Port } from "@nomq/core";
import type { AccessAnswer, AccessQuestion } from "../access/answer.ts";
import type { AccessReloaded } from "../access/reload.ts";
import type { KeptEntry } from "../session-log/session-line.ts";
import type { Health } from "./health.ts";
import type { Streams } from "./streams.ts";

/** What the handlers ask. */
export interface ApiSources {
  readonly port: Port;
  health(): Health;
  attachments(): readonly AttachmentState[];
  /** Which NoMQ peers are there. Default: none is known. */
  devices?(): readonly DevicePresence[];
  /** Names that NoMQ channels get at run time. Undefined without a NoMQ side; absent: there is none. */
  names?(): NomqNames | undefined;
  /** The rules of a gateway. Absent: 404. */
  readonly access?: {
    /** Reads them again; `by` whom, for the logs. */
    reload(by: string): AccessReloaded;
    explain(question: AccessQuestion): AccessAnswer;
  };
  /** The last entries of the session log. Absent: 404. */
  sessionLog?(last: number): readonly KeptEntry[];
  /** The text of `/metrics`. Absent: 404. */
  metrics?(): string | undefined;
  /** Told of every publish that the hub refused. */
  refused?(reason: string): void;
  /** The streams that are open. Default: their own. */
  readonly streams?: Streams;
  /** When a publish is answered that says nothing of it. Default `stored`. */
  readonly ack?: AckPoint;
  /** How long `until: delivered` waits, in milliseconds. Default 10,000. */
  readonly ackTimeout?: number;
  /** Largest payload in bytes. Default 6 MiB. */
  readonly maxPayload?: number;
}
