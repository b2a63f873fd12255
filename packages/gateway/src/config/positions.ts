import { type Document, isCollection, isMap, isNode, isScalar, type LineCounter } from "yaml";
import { oneLine } from "../log.ts";
import { type Fault, pathText } from "./faults.ts";

/** One thing wrong with a file, for people and programs. */
export interface PlacedFault {
  /** `mqtt.listen[0].url`. */
  readonly path: string;
  readonly reason: string;
  readonly suggestion?: string;
  /** Counted from 1; absent where there is no file. */
  readonly line?: number;
  readonly column?: number;
  /** The part of the file is understood, and comes in a later version. */
  readonly notYet: boolean;
}

/** A parsed file and where its lines begin. */
export interface ParsedFile {
  readonly document: Document;
  readonly lines: LineCounter;
}

/** The faults in the order of the file, each with its place. */
export function placeFaults(faults: readonly Fault[], { document, lines }: ParsedFile): PlacedFault[] {
  return faults
    .map((fault) => ({ fault, offset: offsetOf(fault.path, document) }))
    .sort((a, b) => (a.offset ?? 0) - (b.offset ?? 0))
    .map(({ fault, offset }) => {
      const position = offset === undefined ? undefined : lines.linePos(offset);
      return {
        path: pathText(fault.path),
        reason: fault.reason,
        ...(fault.suggestion === undefined ? {} : { suggestion: fault.suggestion }),
        ...(position === undefined ? {} : { line: position.line, column: position.col }),
        notYet: fault.notYet === true,
      };
    });
}

/** `gateway.yaml:2:3: nomq.lisen: is not a known key; did you mean listen?` */
export function faultText(file: string, fault: PlacedFault): string {
  const place = fault.line === undefined ? "" : `:${fault.line}:${fault.column}`;
  const advice = fault.suggestion === undefined ? "" : `; ${fault.suggestion}`;
  return oneLine(`${file}${place}: ${fault.path}: ${fault.reason}${advice}`);
}

/** Where the deepest part of the path that the file has begins. */
function offsetOf(path: readonly PropertyKey[], document: Document): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined = isNode(node) ? node.range?.[0] : undefined;
  for (const step of path) {
    if (!isCollection(node)) break;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
      if (pair === undefined) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else {
      node = node.get(step, true);
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    }
  }
  return offset;
}
