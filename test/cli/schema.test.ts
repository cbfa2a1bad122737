import { expect, test } from "bun:test";
import { vmrun } from "./vmrun.ts";

test("the schema is JSON, and knows every vdev", async () => {
  const { code, out, err } = await vmrun(["schema"]);
  expect([code, err]).toEqual([0, ""]);
  const schema = JSON.parse(out);
  expect(schema.$schema).toContain("json-schema.org");
  expect(out).toContain('"ns16550a"');
  expect(out).toContain('"virtio-blk"');
});

test("it takes no options", async () => {
  expect((await vmrun(["schema", "--dts"])).code).toBe(2);
});
