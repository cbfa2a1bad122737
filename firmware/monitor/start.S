# Entry, the parking place of the other harts, and the trap entry.
# Convention: a0 = hartid, a1 = address of the FDT. The image runs where it was loaded: no absolute address is in it.

  .section .text.start, "ax"
  .globl _start
_start:
  csrw    mie, zero
  csrci   mstatus, 8                  # MIE off: this firmware takes interrupts only where it asks for them
  csrr    s0, mhartid                 # not a0: a raw loader may leave it unset
  mv      s1, a1
  .option push
  .option norelax
  lla     gp, __global_pointer$
  .option pop

  # The hart that the FDT calls boot CPU runs the monitor, so that the choice is the same every time.
  beqz    s1, park                    # no FDT: no console either
  li      t0, 4
  li      t2, 0
1:lbu     t1, 28(s1)                  # boot_cpuid_phys, a big-endian word (DTSpec 0.4 §5.2)
  slli    t2, t2, 8
  or      t2, t2, t1
  addi    s1, s1, 1
  addi    t0, t0, -1
  bnez    t0, 1b
  addi    s1, s1, -4
  bne     t2, s0, park

  lla     t0, trap_entry
  csrw    mtvec, t0
  csrw    mscratch, zero
  lla     t0, __bss_start
  lla     t1, __bss_end
3:sd      zero, (t0)
  addi    t0, t0, 8
  bltu    t0, t1, 3b

  lla     t0, trap_stack_top
  csrw    mscratch, t0
  lla     sp, stack_top
  mv      a0, s0
  mv      a1, s1
  call    monitor_start
  .globl resume_at_prompt
resume_at_prompt:                     # also where a fault in a command ends: a fresh stack, the prompt again
  lla     sp, stack_top
  call    monitor_prompt
  j       resume_at_prompt

# Other harts sleep here. A software interrupt asks one of them to report; the asker then lowers it again.
park:
  lla     t0, park_again
  csrw    mtvec, t0
  li      t0, 8                       # MSIE: WFI wakes on it although mstatus.MIE is 0
  csrw    mie, t0
  .balign 4
park_again:
1:wfi
  csrr    t0, mip
  andi    t0, t0, 8
  beqz    t0, 1b
  lla     t1, hart_report
  csrr    t2, misa
  sd      t2, 8(t1)
  csrr    t2, marchid
  sd      t2, 16(t1)
  csrr    t2, minstret
  sd      t2, 24(t1)
  fence   rw, rw
  addi    t2, s0, 1
  sd      t2, 0(t1)                   # hartid + 1: "I have reported"
2:csrr    t0, mip
  andi    t0, t0, 8
  bnez    t0, 2b
  j       1b

# struct trap_frame: x1..x31 at 8*(n-1), then mepc, mcause, mtval, mstatus.
  .balign 4
trap_entry:
  csrrw   sp, mscratch, sp
  beqz    sp, trap_in_trap
  addi    sp, sp, -288
  sd      ra, 0(sp)
  .irp    n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  sd      x\n, 8*(\n-1)(sp)
  .endr
  csrrw   t0, mscratch, zero
  sd      t0, 8(sp)
  csrr    t0, mepc
  sd      t0, 248(sp)
  csrr    t0, mcause
  sd      t0, 256(sp)
  csrr    t0, mtval
  sd      t0, 264(sp)
  csrr    t0, mstatus
  sd      t0, 272(sp)
  mv      a0, sp
  .option push
  .option norelax
  lla     gp, __global_pointer$
  .option pop
  call    trap
  ld      t0, 272(sp)
  csrw    mstatus, t0
  ld      t0, 248(sp)
  csrw    mepc, t0
  addi    t0, sp, 288
  csrw    mscratch, t0
  ld      ra, 0(sp)
  .irp    n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  ld      x\n, 8*(\n-1)(sp)
  .endr
  ld      sp, 8(sp)
  mret
trap_in_trap:                         # the handler itself failed: nothing sane is left to do
  wfi
  j       trap_in_trap

# u64 bench_block(u64 seed): 2^20 integer instructions and a little, mixed as compiled code mixes them.
  .section .text.bench_block, "ax"
  .globl bench_block
bench_block:
  li      t0, 65536
  li      t1, 0x9e3779b9
1:add     a0, a0, t1
  slli    t2, a0, 13
  xor     a0, a0, t2
  srli    t3, a0, 7
  xor     a0, a0, t3
  mul     t4, a0, t1
  slli    t2, t4, 17
  xor     a0, a0, t2
  addi    t5, a0, 99
  and     t6, t5, t4
  or      a0, a0, t6
  sub     t5, t5, t6
  sltu    t2, t5, a0
  add     a0, a0, t2
  addi    t0, t0, -1
  bnez    t0, 1b
  ret
