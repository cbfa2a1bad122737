/** Collects everything that is wrong with a profile, so that one run reports it all. */
import { type Diagnostic, type Place, VmrunError } from "../diagnostics/diagnostic.ts";

type More = Pick<Diagnostic, "related" | "hint">;

/** More than this helps nobody, and hostile text could ask for a million. */
const MOST = 100;

export class Findings {
  readonly list: Diagnostic[] = [];
  #omitted = 0;

  error(code: string, place: Place | undefined, message: string, more: More = {}): void {
    if (this.list.length < MOST) this.list.push({ code, severity: "error", message, place, ...more });
    else this.#omitted++;
  }

  get any(): boolean {
    return this.list.length > 0;
  }

  /** Throws what was found, files in the order of their reading and each from top to bottom. */
  raise(): void {
    if (!this.any) return;
    const files = new Map<string | undefined, number>();
    for (const { place } of this.list) if (!files.has(place?.file)) files.set(place?.file, files.size);
    const rank = ({ place }: Diagnostic) => [files.get(place?.file)!, place?.line ?? 0, place?.column ?? 0] as const;
    const sorted = this.list
      .map((diagnostic) => ({ diagnostic, rank: rank(diagnostic) }))
      .sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || a.rank[2] - b.rank[2])
      .map(({ diagnostic }) => diagnostic);
    if (this.#omitted > 0) {
      const message = `${this.#omitted} further errors are not shown`;
      sorted.push({ code: "profile/more", severity: "error", message });
    }
    throw new VmrunError(sorted);
  }
}
