import type { Message } from "@nomq/core";
import type { UserProperties } from "mqtt-packet";

const PRIORITY = "priority";
const IS_PRIORITY = /^(\d|1[0-5])$/;

/** The last user property that reads as a priority; 0 without one. */
export function priorityIn(given: UserProperties): number {
  const values = Object.hasOwn(given, PRIORITY) ? given[PRIORITY] : undefined;
  const last = (Array.isArray(values) ? values : [values]).findLast((value) => IS_PRIORITY.test(value ?? ""));
  return Number(last ?? 0);
}

/** All user properties but the priority. The parser gives them by name, so that only those of one name have an order. */
export function propertiesIn(given: UserProperties): NonNullable<Message["properties"]> {
  const properties: (readonly [string, string])[] = [];
  for (const [name, values] of Object.entries(given)) {
    for (const value of Array.isArray(values) ? values : [values]) {
      if (name !== PRIORITY || !IS_PRIORITY.test(value)) properties.push([name, value]);
    }
  }
  return properties;
}

/** A message's properties as user properties. */
export function userPropertiesOf({ properties = [] }: Message): UserProperties | undefined {
  if (properties.length === 0) return undefined;
  // No prototype: a property may be called `__proto__`.
  const joined: UserProperties = Object.create(null);
  for (const [name, value] of properties) add(joined, name, value);
  return joined;
}

/** A message's priority as a user property, beside others. */
export function withPriority(
  message: Message,
  others: UserProperties | undefined,
): UserProperties | undefined {
  if (message.priority === 0) return others;
  const joined: UserProperties = others ?? Object.create(null);
  add(joined, PRIORITY, String(message.priority));
  return joined;
}

function add(joined: UserProperties, name: string, value: string): void {
  const before = joined[name];
  joined[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
}
