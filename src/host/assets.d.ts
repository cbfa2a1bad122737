/** Files that are imported for their path: `import path from "./x.c" with { type: "file" }`. */
declare module "*.c" {
  const path: string;
  export default path;
}
