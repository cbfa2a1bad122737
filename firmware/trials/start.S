# Every hart runs trial(hart, fdt) in M-mode with floating point on; when hart 0 comes back, the machine is switched off.
# Traps are saved whole and go to on_trap(frame, cause, value).
  .section .text.start, "ax"
  .globl _start
_start:
  csrw    mie, zero
  lla     t0, machine_trap
  csrw    mtvec, t0
  li      t0, 0x6000                  # mstatus.FS
  csrs    mstatus, t0
  csrw    fcsr, zero
  csrr    a0, mhartid
  lla     sp, stack_top
  slli    t0, a0, 12                  # a page of stack for each
  sub     sp, sp, t0
  lla     t2, cleared
  bnez    a0, 3f
  lla     t0, __bss_start
  lla     t1, __bss_end
1:sd      zero, (t0)
  addi    t0, t0, 8
  bltu    t0, t1, 1b
  fence   rw, rw
  li      t0, 1
  sw      t0, (t2)
  call    trial
  li      t0, 0x100000
  li      t1, 0x5555
  bnez    a0, 5f
2:sw      t1, (t0)
  j       2b
5:li      t1, 0x13333                 # what can be judged on the spot was wrong
  j       2b
3:lw      t0, (t2)
  beqz    t0, 3b
  fence   rw, rw
  call    trial
4:wfi
  j       4b

  .data
cleared: .word 0

  .text
  .macro trap_vector name, epc, cause, tval, return
  .align 2
  .globl \name
\name:
  addi    sp, sp, -272
  sd      x1, 8(sp)
  .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  sd      x\n, 8*\n(sp)
  .endr
  addi    t0, sp, 272
  sd      t0, 16(sp)
  csrr    t0, \epc
  sd      t0, 256(sp)
  mv      a0, sp
  csrr    a1, \cause
  csrr    a2, \tval
  call    on_trap
  ld      t0, 256(sp)
  csrw    \epc, t0
  ld      x1, 8(sp)
  .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  ld      x\n, 8*\n(sp)
  .endr
  addi    sp, sp, 272
  \return
  .endm

  trap_vector machine_trap, mepc, mcause, mtval, mret
  trap_vector supervisor_trap, sepc, scause, stval, sret

# become_supervisor(satp): comes back in S-mode on the same stack; every trap that can be is delegated.
  .globl become_supervisor
become_supervisor:
  li      t0, -1
  csrw    pmpaddr0, t0
  li      t0, 0x1f                    # NAPOT over everything, RWX
  csrw    pmpcfg0, t0
  li      t0, 0xb1ff
  csrw    medeleg, t0
  li      t0, 0x222
  csrw    mideleg, t0
  lla     t0, supervisor_trap
  csrw    stvec, t0
  csrw    satp, a0
  sfence.vma
  li      t0, 0x1800                  # MPP
  csrc    mstatus, t0
  li      t0, 0x0800
  csrs    mstatus, t0
  csrw    mepc, ra
  mret
