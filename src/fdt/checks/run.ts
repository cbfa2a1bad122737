/** Runs the checks that are asked for, and says what they find. */
import { type Diagnostic, fail, type Place } from "../../diagnostics/diagnostic.ts";
import { quoted } from "../names.ts";
import { type Check, CheckContext, type CheckSubject, type Level, type ReportPlace } from "./check.ts";
import { CHECKS } from "./table.ts";

/** How loud each check is. What is not set has its default. */
export class CheckLevels {
  readonly #levels = new Map<string, { warning: boolean; error: boolean }>();

  constructor() {
    for (const { name, level } of CHECKS) {
      this.#levels.set(name, { warning: level === "warning", error: level === "error" });
    }
  }

  of(name: string): Level {
    const { warning, error } = this.#levels.get(name)!;
    return error ? "error" : warning ? "warning" : "off";
  }

  /** What dtc's `-W name`, `-W no-name`, `-E name` and `-E no-name` do. */
  set(kind: "warning" | "error", text: string): void {
    const off = /^no[-_]/.test(text) && !this.#levels.has(text);
    const name = off ? text.slice(3) : text;
    const check = byName.get(name);
    if (!check) {
      fail("fdt/unknown-check", `there is no check ${quoted(name)}`, { hint: "vmrun fdt check --list names them" });
    }
    if (off) this.#lower(kind, check);
    else this.#raise(kind, check);
  }

  /** Everything that says something about a tree. */
  all(): void {
    for (const check of CHECKS)
      if (check.level === "off" && check.name !== "always_fail") this.#raise("warning", check);
  }

  /** What a check depends on becomes as loud as it is. */
  #raise(kind: "warning" | "error", { name, requires = [] }: Check): void {
    const level = this.#levels.get(name)!;
    if (!level[kind]) for (const each of requires) this.#raise(kind, byName.get(each)!);
    level[kind] = true;
  }

  /** And what depends on it as quiet. */
  #lower(kind: "warning" | "error", { name }: Check): void {
    const level = this.#levels.get(name)!;
    if (!level[kind]) return;
    level[kind] = false;
    for (const check of CHECKS) if (check.requires?.includes(name)) this.#lower(kind, check);
  }
}

const byName: ReadonlyMap<string, Check> = new Map(CHECKS.map((check) => [check.name, check]));

/** Every finding, by check in the order of the table. Their codes are `check/` and the check's name. */
export function checkTree(subject: CheckSubject, levels = new CheckLevels()): Diagnostic[] {
  const context = new CheckContext(subject);
  const found = (subject.findings ?? []).filter(
    ({ code }) => !CHECKS.some((check) => check.readersSay?.includes(code)),
  );
  const outcomes = new Map<string, "passed" | "failed">();

  /** A check runs once, after what it requires; quietly when only others ask for it. */
  const outcome = (check: Check): "passed" | "failed" => {
    const known = outcomes.get(check.name);
    if (known) return known;
    const severity = levels.of(check.name);
    let result: "passed" | "failed" = "passed";
    const add = (message: string, place: Place): void => {
      result = "failed";
      if (severity !== "off") found.push({ code: `check/${check.name}`, severity, message, place });
    };
    for (const name of check.requires ?? []) {
      if (outcome(byName.get(name)!) === "failed") add(`not made: ${name} failed`, { file: subject.file });
    }
    if (result === "passed" && check.run) {
      for (const visit of context.index.visits) {
        check.run(context, visit, (message, at) => add(message, placeOf(visit.node, at)));
      }
    } else if (result === "passed") {
      for (const { code, message, place = {} } of subject.findings ?? []) {
        if (check.readersSay?.includes(code)) add(message, place);
      }
    }
    outcomes.set(check.name, result);
    return result;
  };

  const placeOf = (visited: CheckSubject["fdt"]["root"], { node = visited, property }: ReportPlace = {}): Place => {
    const path = context.index.path(node) + (property === undefined ? "" : `:${property}`);
    return { file: subject.file, ...subject.place?.(node, property), path };
  };

  for (const check of CHECKS) if (levels.of(check.name) !== "off") outcome(check);
  return found;
}
