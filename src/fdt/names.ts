/**
 * Which names nodes and properties may have: what dtc accepts without `-f`, a little wider than DTSpec v0.4 §2.2.
 * Reader, writer and printer share the rule, so that whatever can be read can also be written, printed and given to dtc.
 */
import { MAX_NAME_LENGTH } from "./format.ts";

const NODE_NAME = /^[\w,.+*#?-]+(@[\w,.+*#?-]*)?$/;
const PROPERTY_NAME = /^[\w,.+*#?-]+$/;

/** What is wrong with a node's name, or undefined. The root's empty name is not covered: only its place makes it right. */
export function nodeNameFault(name: string): string | undefined {
  return nameFault("node", name, NODE_NAME);
}

export function propertyNameFault(name: string): string | undefined {
  return nameFault("property", name, PROPERTY_NAME);
}

function nameFault(kind: string, name: string, legal: RegExp): string | undefined {
  if (name === "") return `a ${kind} has an empty name`;
  if (name.length > MAX_NAME_LENGTH) return `a ${kind} name is longer than ${MAX_NAME_LENGTH} characters`;
  if (!legal.test(name)) return `${quoted(name)} is not a ${kind} name`;
  return undefined;
}

/** A hostile name made safe to show: a terminal must not see its control characters. */
export function quoted(name: string): string {
  const visible = name.slice(0, MAX_NAME_LENGTH).replace(/[^\x20-\x7e]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `"${visible}"`;
}

/** The part before the unit address (DTSpec §2.2.1). */
export function baseName(name: string): string {
  const at = name.indexOf("@");
  return at < 0 ? name : name.slice(0, at);
}
