// The door: usage texts, versions, what was misspelt, and what is said when vmrun itself fails.
import { describe, expect, test } from "bun:test";
import { VIRT, vmrun } from "./vmrun.ts";

describe("usage", () => {
  test("of vmrun", async () => {
    const { code, out, err } = await vmrun(["--help"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatchInlineSnapshot(`
      "Machine emulator: runs the board that a TOML profile declares. \`vmrun PROFILE\` is \`vmrun run PROFILE\`. (vmrun v0.1.0)

      USAGE vmrun run|check|fdt|map|clocks|pass|bench|vdevs|new|test|schema

      COMMANDS

           run    Run the machine of a profile; Ctrl-A x ends it, Ctrl-A h helps                                                                                                                                          
         check    Check a profile and, with --resolved, show every value that it comes to                                                                                                                                 
           fdt    Generate the device tree of a board; or check, diff, get, list, set, convert, apply one (vmrun fdt VERB --help)                                                                                         
           map    Show the memory map and the interrupt tree of a board or a device tree                                                                                                                                  
        clocks    Show the clock tree of a board, its rates, and what the guest may change                                                                                                                                
          pass    Run a guest with its [[pass]] and [[clock]] regions observed, and propose the smallest profile that would do. Clock controllers are forwarded whole meanwhile. The guest's output goes to standard error
         bench    Measure what vdevs cost the guest: registers, virtqueues, interrupts; or consoles (vmrun bench console)                                                                                                 
         vdevs    List the vdevs that there are, or document one                                                                                                                                                          
           new    Write a new vdev with its test and profile, or a new profile                                                                                                                                            
          test    Run vdevs' own tests: \`bun test\` with vmrun at hand, wherever they lie                                                                                                                                  
        schema    Print the JSON Schema of profiles, for editors with TOML support                                                                                                                                        

      Use vmrun <command> --help for more information about a command.
      "
    `);
  });

  test("is what `vmrun` alone, -h and help give, too", async () => {
    const { out } = await vmrun(["--help"]);
    expect(await vmrun([])).toMatchObject({ code: 2, out });
    expect(await vmrun(["-h"])).toMatchObject({ code: 0, out });
    expect(await vmrun(["help"])).toMatchObject({ code: 0, out });
  });

  test("of run", async () => {
    const { code, out } = await vmrun(["run", "--help"]);
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "Run the machine of a profile; Ctrl-A x ends it, Ctrl-A h helps (vmrun run v0.1.0)

      USAGE vmrun run [OPTIONS] <PROFILE>

      ARGUMENTS

        PROFILE=<PROFILE>    board profile (TOML) (Required)

      OPTIONS

             --set=<PATH=VALUE>    override a value of the profile, e.g. cpu.harts=4 or vdev.uart0.host=null; may be repeated          
               --timeout=<TIME>    give up after this much guest time, e.g. 30s                                                        
          --host-timeout=<TIME>    give up after this much time of the host                                                            
                --expect=<TEXT>    wait for TEXT on the console; ends with success after the last one. Repeats, in order with --input  
                 --input=<TEXT>    type TEXT (with \\n, \\r, \\t, \\e, \\xHH) when it is its turn. Repeats, in order with --expect          
                --engine=<KIND>    how guest code runs: translator (default), portable or interpreter; the results are the same        
                        --stats    tell at the end how guest code ran: tiers, regions, translation time, exits to the host             
        --show-region=<ADDRESS>    at the end, show what the guest code at ADDRESS became, below each instruction. Repeats             
                       --reboot    start again when the guest reboots (Default: true)                                                  
                    --no-reboot    end at a reboot of the guest, with success                                                          
             --allow-host-power    let the guest run host commands that the profile allows, such as power-off, and streams be programs 
                        --exits    at the end, tell what the guest left its own code for and what that cost; also --exits=csv and =json
            --exits-file=<FILE>    where that goes, instead of standard error                                                          
           --exits-by=<COLUMNS>    what CSV and JSON tell apart, such as vdev,register,pc                                              
            --exits-html=<FILE>    the same as a page with pictures                                                                    
             --exits-svg=<FILE>    the same as one picture                                                                             
                 --trace=<FILE>    write what happens, in host time and in guest time, for ui.perfetto.dev                             
             --trace-events=<N>    how many events a trace keeps, the first ones: 200000                                               
                          --top    at a terminal, show exits in its upper half while the guest runs                                    
                  --exits-walks    count walks through page tables, too                                                                
               --symbols=<FILE>    names for the guest's code: an ELF file, System.map or /proc/kallsyms. Repeats                      
                --budget=<FILE>    fail where the run needs more exits than the [budget.NAME] tables of FILE allow                     
         --budget-record=<FILE>    write what this run needs as such a file                                                            
                        --watch    when a module that the profile uses changes, its vdevs go on with the new code and their old state  
                    -q, --quiet    print nothing but the guest's output and errors                                                     
                      --verbose    tell what guests do that they should not                                                            

      "
    `);
    // Wherever it stands.
    expect((await vmrun([VIRT, "--help"])).out).toBe(out);
  });

  test("of check", async () => {
    expect((await vmrun(["check", "-h"])).out).toMatchInlineSnapshot(`
      "Check a profile and, with --resolved, show every value that it comes to (vmrun check v0.1.0)

      USAGE vmrun check [OPTIONS] <PROFILE>

      ARGUMENTS

        PROFILE=<PROFILE>    board profile (TOML) (Required)

      OPTIONS

        --set=<PATH=VALUE>    override a value of the profile, e.g. cpu.harts=4 or vdev.uart0.host=null; may be repeated
                --resolved    print the board with every value and where it comes from                                  

      "
    `);
  });

  test("of fdt", async () => {
    expect((await vmrun(["fdt", "-h"])).out).toMatchInlineSnapshot(`
      "Generate the device tree of a board; or check, diff, get, list, set, convert, apply one (vmrun fdt VERB --help) (vmrun fdt v0.1.0)

      USAGE vmrun fdt [OPTIONS] <PROFILE>

      ARGUMENTS

        PROFILE=<PROFILE>    board profile (TOML) (Required)

      OPTIONS

         --set=<PATH=VALUE>    override a value of the profile, e.g. cpu.harts=4 or vdev.uart0.host=null; may be repeated
                      --dts    print source text instead of the binary form                                              
        -o, --output=<FILE>    write to FILE instead of standard output                                                  
          --padding=<BYTES>    room at the end of a DTB, for a boot loader's edits                                       
           --overlay=<FILE>    apply an overlay, DTB or DTS; may be repeated                                             

      "
    `);
  });

  test("of schema", async () => {
    expect((await vmrun(["schema", "-h"])).out).toMatchInlineSnapshot(`
      "Print the JSON Schema of profiles, for editors with TOML support (vmrun schema v0.1.0)

      USAGE vmrun schema [OPTIONS] 

      OPTIONS

        --in=<PROFILE>    with the vdevs that this profile brings

      "
    `);
  });
});

test("the version is that of the package", async () => {
  const { version } = await import("../../package.json");
  expect(await vmrun(["--version"])).toMatchObject({ code: 0, out: `${version}\n`, err: "" });
});

describe("what is misspelt is refused, with what was meant", () => {
  test.each([
    [
      ["chekc", VIRT],
      'error[cli/unknown-command]: "chekc" is neither a command nor a profile\n  hint: did you mean "vmrun check"?\n',
    ],
    [
      ["virt"],
      'error[cli/unknown-command]: "virt" is neither a command nor a profile\n  hint: vmrun --help lists the commands; a profile is a .toml file\n',
    ],
    [
      ["run", VIRT, "--expct=x"],
      "error[cli/unknown-option]: there is no option --expct\n  hint: did you mean --expect?\n",
    ],
    [
      [VIRT, "--timeout", "soon"],
      'error[cli/duration]: --timeout takes a duration, and "soon" is none\n  hint: for example 10s, 500ms or 2min\n',
    ],
    [
      ["fdt", VIRT, "--resolved"],
      "error[cli/unknown-option]: there is no option --resolved\n  hint: --help lists the options\n",
    ],
  ])("%p", async (args, err) => {
    expect(await vmrun(args)).toMatchObject({ code: 2, out: "", err });
  });

  test("a missing profile", async () => {
    const { code, err } = await vmrun(["check"]);
    expect(code).toBe(2);
    expect(err).toContain("error[cli/usage]");
    expect(err.toLowerCase()).toContain("profile");
  });

  test("a profile that is not there", async () => {
    const { code, err } = await vmrun(["profiles/virt-rv46.toml"]);
    expect(code).toBe(2);
    expect(err).toContain("virt-rv46.toml");
    expect(err).not.toContain("internal");
  });
});
