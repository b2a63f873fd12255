import { MAPPING_PROPERTIES, type MappingCell, type MappingProperty, type ProtocolMapping } from "@nomq/core";
import { explain } from "../../packages/gateway/src/cli/explain-command.ts";
import { propertiesAsked, readNamed } from "../../packages/gateway/src/cli/explain-question.ts";
import {
  MAPPINGS,
  nameOfEnd,
  titleOfEnd,
  WAY_ENDS,
  type WayEnd,
  wayOf,
} from "../../packages/gateway/src/mapping.ts";

/** The command that writes the page. */
export const REWRITE = "npm run docs:mapping";

/** The questions that the page answers, as one types them. */
export const SHOWN_QUESTIONS: readonly (readonly [from: string, to: string])[] = [
  ["nomq:qos2", "mqtt"],
  ["mqtt5:content-type", "nomq:device"],
  ["mqtt:retain", "nomq:device"],
  ["coap:retain", "mqtt5"],
  ["mqtt5:ttl", "xmpp:item"],
];

/** docs/mapping.md, from the tables of all protocols. */
export function mappingPage(): string {
  return [INTRODUCTION, questions(), pairs(), ...MAPPINGS.map(protocol)].join("\n\n").concat("\n");
}

const INTRODUCTION = `<!-- Written from the tables by \`${REWRITE}\`; a test fails when this page differs. -->
# The mapping

What becomes of each property of a message on its way from one protocol to another. The gateway's bridges read these very tables, and a test sends messages between every two kinds of peer through a running gateway and compares what arrives with what stands here. Semantic versioning covers this page: a cell that gets worse is a breaking change.

| Word | Meaning |
| --- | --- |
| **kept** | What arrives is what was sent. |
| **approximated** | It arrives changed but means the same, or arrives under a condition that the cell names. |
| **lost** | It does not arrive. |

What is too large for the next hop is refused as \`too-large\`, never cut. When a property that a message has is lost:

- a counter moves: \`lost\` of the side that sent it in \`/healthz\`, a list of \`{ from, to, property, count }\`. \`from\` is a protocol, \`to\` a protocol and variant (\`nomq:device\`, \`mqtt:3.1.1\`), \`coap\` for both of its variants, or \`hub\` for what was lost on the way in;
- the log says so, once for each kind of loss;
- what was lost on the way in is said by the message itself: it has a property \`nomq-lost\` with the name of the row (an MQTT 5 user property).`;

function questions(): string {
  const shown = SHOWN_QUESTIONS.map(([from, to]) => {
    const [source, target] = [readNamed(from), readNamed(to)];
    return `$ nomq explain ${from} ${to}\n${explain(source, target, propertiesAsked(source, target))}`;
  });
  return `## Asking

\`nomq explain FROM TO\` prints rows of this page. Each side is a protocol (\`nomq\`, \`mqtt\`, \`coap\`, \`xmpp\`), a variant of it (\`nomq:device\`, \`nomq:node\`, \`mqtt3.1.1\`, \`mqtt5\`, \`coap:con\`, \`coap:non\`, \`xmpp:item\`, \`xmpp:plain\`), or either with a property (\`nomq:qos2\`, \`mqtt5:retain\`); \`qos\` stands for every row that begins so. \`--json\` prints one object per line.

\`\`\`text
${shown.join("\n")}\`\`\``;
}

const table = (head: readonly string[], lines: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n");

function pairs(): string {
  const tables = WAY_ENDS.map((from) => {
    const lines = MAPPING_PROPERTIES.map((property) => [
      `\`${property}\``,
      ...WAY_ENDS.map((to) => wayOf(property, from, to).is),
    ]);
    return `### From ${articleFor(from)}\n\n${table(["", ...WAY_ENDS.map((to) => `to ${titleOfEnd(to)}`)], lines)}`;
  });
  return `## From whom to whom\n\nThe worse of the way in and the way out; how, the tables below say.\n\n${tables.join("\n\n")}`;
}

const articleFor = (end: WayEnd): string => `${/^M/.test(titleOfEnd(end)) ? "" : "a "}${titleOfEnd(end)}`;

function protocol(mapping: ProtocolMapping): string {
  const lines = MAPPING_PROPERTIES.map((property) => [
    `\`${property}\``,
    cells(mapping, property, "from"),
    cells(mapping, property, "to"),
  ]);
  const ends = WAY_ENDS.filter((end) => end.mapping === mapping).map((end) => `\`${nameOfEnd(end)}\``);
  return `## ${mapping.title}

Variants: ${ends.join(", ")}.

${table(["", `From ${mapping.title}`, `To ${mapping.title}`], lines)}

${mapping.notes.map((note) => `- ${note}`).join("\n")}`;
}

function cells(mapping: ProtocolMapping, property: MappingProperty, way: "from" | "to"): string {
  const row = mapping.rows[property][way];
  const byText = Map.groupBy(mapping.variants, ({ id }) => cellText(row[id]));
  if (byText.size === 1) return [...byText.keys()].join();
  return [...byText]
    .map(([text, variants]) => `${variants.map(({ id }) => id).join(", ")}: ${text}`)
    .join("<br>");
}

const cellText = (cell: MappingCell | undefined): string =>
  cell === undefined ? "" : `**${cell.is}**: ${cell.how.replaceAll("|", "\\|")}`;
