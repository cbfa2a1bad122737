# Hart 0 runs the list; other harts sleep. The trap handler takes what its context (gp) says.
  .section .text.start, "ax"
  .globl _start
_start:
  csrw    mie, zero
  csrr    t0, mhartid
1:beqz    t0, 2f
  wfi
  j       1b
2:lla     t0, __bss_start
  lla     t1, __bss_end
3:sd      zero, (t0)
  addi    t0, t0, 8
  bltu    t0, t1, 3b
  lla     sp, stack_top
  lla     gp, trap_context
  lla     tp, nowhere
  lla     t0, trap
  csrw    mtvec, t0
  lla     a0, _start
  li      t0, 0x100000                # LIST_OFFSET
  add     a0, a0, t0
  call    run
4:wfi
  j       4b

# Offsets in struct trap_context.
#define TAKEN 0
#define FAULTS 8
#define LOWER 16
#define LOWER_VALUE 24
#define CLAIM 32
#define CLOCK 40
#define SEEN 48
#define SAVED 56

  .balign 64
  .option push
  .option norvc
  .globl trap
trap:
  sw      zero, (tp)                  # the mark: nothing comes before it
  sd      t0, SAVED(gp)
  sd      t1, SAVED+8(gp)
  sd      t2, SAVED+16(gp)
  csrr    t0, mcause
  bgez    t0, 3f
  ld      t0, CLOCK(gp)
  beqz    t0, 1f
  ld      t1, (t0)
  sd      t1, SEEN(gp)
1:ld      t0, CLAIM(gp)
  beqz    t0, 2f
  lw      t1, (t0)
2:ld      t0, LOWER(gp)
  ld      t2, LOWER_VALUE(gp)
  sw      t2, (t0)
  ld      t0, CLAIM(gp)
  beqz    t0, 4f
  sw      t1, (t0)
4:ld      t0, TAKEN(gp)
  addi    t0, t0, 1
  sd      t0, TAKEN(gp)
5:ld      t0, SAVED(gp)
  ld      t1, SAVED+8(gp)
  ld      t2, SAVED+16(gp)
  mret
# A fault: the access did not happen. Instructions that may fault are 4 bytes long.
3:ld      t0, FAULTS(gp)
  addi    t0, t0, 1
  sd      t0, FAULTS(gp)
  csrr    t0, mepc
  addi    t0, t0, 4
  csrw    mepc, t0
  j       5b
  .option pop
