/** Every check: dtc's by dtc's names, default levels and order, and then those of bindings. */
import { addressFormatChecks, addressStyleChecks } from "./addresses.ts";
import { bindingChecks } from "./binding-checks.ts";
import { busChecks } from "./buses.ts";
import type { Check } from "./check.ts";
import { graphChecks } from "./graph.ts";
import { interruptChecks } from "./interrupts.ts";
import { nameChecks, strictNameChecks } from "./names.ts";
import { gpioChecks, phandleChecks, providerChecks } from "./providers.ts";
import { shapeChecks } from "./shapes.ts";
import { aliasChecks, chosenChecks } from "./wellknown.ts";

export const CHECKS: readonly Check[] = [
  ...nameChecks,
  ...phandleChecks,
  ...shapeChecks,
  ...strictNameChecks,
  ...addressFormatChecks,
  ...busChecks,
  ...addressStyleChecks,
  ...chosenChecks,
  ...providerChecks,
  ...gpioChecks,
  ...interruptChecks,
  ...aliasChecks,
  ...graphChecks,
  {
    name: "always_fail",
    level: "off",
    summary: "fails at every node, for tests of tools",
    run(_context, _visit, report) {
      report("this check always fails");
    },
  },
  ...bindingChecks,
];
