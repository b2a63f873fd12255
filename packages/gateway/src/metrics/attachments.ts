import type { Sample } from "./exposition.ts";

/** So many attachments are named; more names than that would cost the one who scrapes. */
export const ATTACHMENTS_AT_MOST = 1_000;

/** Streams are one: each has a name of its own that is never seen again. */
export const STREAMS = "api:stream";

/** The samples of every attachment, its name in front of their labels. What is beyond the bound is counted together. */
export function byAttachment<Each extends { readonly name: string }>(
  attachments: readonly Each[],
  samples: (each: Each) => readonly Sample[],
): readonly Sample[] {
  const named = new Set<string>();
  return attachments.flatMap((each) => {
    const name = each.name.startsWith(`${STREAMS}:`) ? STREAMS : each.name;
    if (named.size < ATTACHMENTS_AT_MOST) named.add(name);
    const label = named.has(name) ? name : "(other)";
    return samples(each).map(([labels, value]): Sample => [[label, ...labels], value]);
  });
}
