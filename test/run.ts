/** `bun run test`: types, lint, then every test; options go on to `bun test`. Stops at the first of the three that fails. */

/** For one test, ms: real guests (test/guests) boot whole systems. `bun test` alone has 5 s, and bunfig.toml no say in it. */
const TIMEOUT = 120_000;

const run = (...command: string[]): void => {
  const { exitCode } = Bun.spawnSync([process.execPath, ...command], { stdio: ["ignore", "inherit", "inherit"] });
  if (exitCode !== 0) process.exit(exitCode);
};

run("--bun", "x", "tsc", "--noEmit");
run("--bun", "x", "biome", "check", ".");
run("test", `--timeout=${TIMEOUT}`, ...process.argv.slice(2));
