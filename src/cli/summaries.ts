/** What each command does, in a line or two: listing them loads none. */
export const summaries = {
  run: "Run the machine of a profile; Ctrl-A x ends it, Ctrl-A h helps",
  check: "Check a profile and, with --resolved, show every value that it comes to",
  get fdt() {
    const { fdtVerbs } = require("./fdt/verbs.ts") as typeof import("./fdt/verbs.ts");
    return `Generate the device tree of a board; or ${Object.keys(fdtVerbs).join(", ")} one (vmrun fdt VERB --help)`;
  },
  map: "Show the memory map and the interrupt tree of a board or a device tree",
  clocks: "Show the clock tree of a board, its rates, and what the guest may change",
  pass:
    "Run a guest with its [[pass]] and [[clock]] regions observed, and propose the smallest profile that would do. " +
    "Clock controllers are forwarded whole meanwhile. The guest's output goes to standard error",
  bench: "Measure what vdevs cost the guest: registers, virtqueues, interrupts; or consoles (vmrun bench console)",
  vdevs: "List the vdevs that there are, or document one",
  new: "Write a new vdev with its test and profile, or a new profile",
  test: "Run vdevs' own tests: `bun test` with vmrun at hand, wherever they lie",
  schema: "Print the JSON Schema of profiles, for editors with TOML support",
} as const;
