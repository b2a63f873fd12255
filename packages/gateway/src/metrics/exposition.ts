/** One value and the values of its metric's labels, in their order. */
export type Sample = readonly [labels: readonly string[], value: number];

/** One metric: what it is called, what it says, and where its values come from. */
export interface Metric<Facts> {
  readonly name: string;
  readonly type: "counter" | "gauge";
  /** One line. */
  readonly help: string;
  readonly labels: readonly string[];
  read(facts: Facts): Iterable<Sample>;
}

/** Longer label values are cut: names come from outside. */
const LONGEST_LABEL = 256;

/** The metrics in Prometheus' text format, version 0.0.4. A metric without a value is left out. */
export function exposition<Facts>(metrics: readonly Metric<Facts>[], facts: Facts): string {
  return metrics.map((metric) => block(metric, merged(metric.read(facts)))).join("");
}

/** Samples with the same labels are one: reasons may be cut to the same word. */
function merged(samples: Iterable<Sample>): ReadonlyMap<string, Sample> {
  const sums = new Map<string, Sample>();
  for (const [labels, value] of samples) {
    const cut = labels.map(labelText);
    const key = cut.join(",");
    sums.set(key, [cut, value + (sums.get(key)?.[1] ?? 0)]);
  }
  return sums;
}

function block<Facts>(
  { name, type, help, labels }: Metric<Facts>,
  samples: ReadonlyMap<string, Sample>,
): string {
  if (samples.size === 0) return "";
  const lines = [...samples.values()].map(([values, value]) => {
    const pairs = labels.map((label, at) => `${label}=${values[at] ?? '""'}`);
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** Names are hostile: a quote or a line feed must not begin a sample of its own. */
function labelText(value: string): string {
  const cut = value.slice(0, LONGEST_LABEL).toWellFormed();
  return `"${cut.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
