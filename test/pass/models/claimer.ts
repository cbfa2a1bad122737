// Claims all of a space, says so, and waits to be killed.
import { claim } from "../../../src/pass/claims.ts";

claim("it", { resources: [{ space: process.argv[2]! }], owner: "child/emmc", dma: true, override: false });
process.stdout.write("ready\n");
setInterval(() => {}, 1000);
