import type { MappingCell, MappingProperty } from "@nomq/core";
import { nameOfEnd, titleOfEnd, type Way, type WayEnd, wayOf } from "../mapping.ts";
import { type Named, propertiesAsked, readNamed } from "./explain-question.ts";

/** Options of `nomq explain`. */
export interface ExplainOptions {
  readonly json?: boolean;
}

/** `nomq explain`: what becomes of a property, or of all, on the way from one protocol to another. */
export function runExplain(from: string, to: string, { json = false }: ExplainOptions = {}): number {
  const [source, target] = [readNamed(from), readNamed(to)];
  const properties = propertiesAsked(source, target);
  process.stdout.write(json ? jsonLines(source, target, properties) : explain(source, target, properties));
  return 0;
}

function jsonLines(source: Named, target: Named, properties: readonly MappingProperty[]): string {
  const lines = properties.flatMap((property) =>
    source.ends.flatMap((from) =>
      target.ends.map((to) => {
        const way = wayOf(property, from, to);
        return JSON.stringify({
          property,
          from: nameOfEnd(from),
          to: nameOfEnd(to),
          is: way.is,
          in: told(way.in),
          out: told(way.out),
        });
      }),
    ),
  );
  return lines.map((line) => `${line}\n`).join("");
}

const told = ({ is, how }: MappingCell): Pick<MappingCell, "is" | "how"> => ({ is, how });

/** Ends between which the same becomes of a property. */
interface Alike {
  readonly way: Way;
  readonly from: readonly WayEnd[];
  readonly to: readonly WayEnd[];
}

/** The paragraphs that `nomq explain` prints. */
export function explain(source: Named, target: Named, properties: readonly MappingProperty[]): string {
  return properties
    .map((property) => {
      const ways = alike(property, source.ends, target.ends).map(paragraph);
      return `${property}\n${ways.join("")}`;
    })
    .join("\n");
}

function paragraph({ way, from, to }: Alike): string {
  return `  ${titleOf(from)} to ${titleOf(to)}: ${way.is}\n    in:  ${say(way.in)}\n    out: ${say(way.out)}\n`;
}

const say = ({ is, how }: MappingCell): string => `${is}: ${how}`;

function titleOf(ends: readonly WayEnd[]): string {
  const [first] = ends;
  if (first !== undefined && ends.length > 1 && ends.length === first.mapping.variants.length) {
    return first.mapping.title;
  }
  return ends.map(titleOfEnd).join(" or ");
}

function alike(
  property: MappingProperty,
  sources: readonly WayEnd[],
  targets: readonly WayEnd[],
): readonly Alike[] {
  const bySource = Map.groupBy(sources, ({ mapping, variant }) => key(mapping.rows[property].from[variant]));
  const byTarget = Map.groupBy(targets, ({ mapping, variant }) => key(mapping.rows[property].to[variant]));
  return [...bySource.values()].flatMap((from) =>
    [...byTarget.values()].flatMap((to) => {
      const [a, b] = [from[0], to[0]];
      return a === undefined || b === undefined ? [] : [{ way: wayOf(property, a, b), from, to }];
    }),
  );
}

const key = (cell: MappingCell | undefined): string => `${cell?.is} ${cell?.how}`;
