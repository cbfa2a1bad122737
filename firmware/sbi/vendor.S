# A kernel in S-mode that asks the vendor extension of vmrun's `sbi-vendor`, and prints each answer: error, then value.
# Runs under any SBI with the legacy console; the extension is the only thing that has to be vmrun's.
  .equ VENDOR, 0x09000000
  .equ PUTCHAR, 0x01
  .equ BASE, 0x10
  .equ PROBE, 3
  .equ SRST, 0x53525354

  .section .text.start, "ax"
  .globl _start
_start:
  lla     sp, stack_top

  li      a7, BASE                    # is it there?
  li      a6, PROBE
  li      a0, VENDOR
  ecall
  lla     s2, probe
  call    answer

  li      a7, VENDOR                  # version()
  li      a6, 0
  ecall
  lla     s2, version
  call    answer

  li      s3, 3                       # count(7, 5), three times
1:li      a7, VENDOR
  li      a6, 2
  li      a0, 7
  li      a1, 5
  ecall
  lla     s2, count
  call    answer
  addi    s3, s3, -1
  bnez    s3, 1b

  li      a7, VENDOR                  # count(99, 1): there is no such counter
  li      a6, 2
  li      a0, 99
  li      a1, 1
  ecall
  lla     s2, count
  call    answer

  li      a7, VENDOR                  # a function that there is not
  li      a6, 42
  ecall
  lla     s2, unknown
  call    answer

  li      a7, VENDOR + 1              # an extension that there is not
  li      a6, 0
  ecall
  lla     s2, other
  call    answer

  li      a7, SRST                    # power off
  li      a6, 0
  li      a0, 0
  li      a1, 0
  ecall
2:wfi
  j       2b

# Prints the text at s2, a0 and a1.
answer:
  mv      s0, ra
  mv      s4, a0
  mv      s5, a1
  call    print
  mv      s6, s4
  call    number
  mv      s6, s5
  call    number
  li      a0, '\n'
  call    put
  jr      s0

print:
  mv      s1, ra
1:lbu     a0, (s2)
  beqz    a0, 2f
  call    put
  addi    s2, s2, 1
  j       1b
2:jr      s1

# Prints a space and s6 in decimal.
number:
  mv      s1, ra
  li      a0, ' '
  call    put
  bgez    s6, 1f
  li      a0, '-'
  call    put
  neg     s6, s6
1:li      t2, 10
  mv      s7, sp
2:remu    t0, s6, t2
  divu    s6, s6, t2
  addi    t0, t0, '0'
  addi    s7, s7, -1
  sb      t0, (s7)
  bnez    s6, 2b
3:lbu     a0, (s7)
  call    put
  addi    s7, s7, 1
  bne     s7, sp, 3b
  jr      s1

put:
  li      a7, PUTCHAR
  ecall
  ret

  .section .rodata
probe:   .asciz "probe"
version: .asciz "version"
count:   .asciz "count"
unknown: .asciz "unknown function"
other:   .asciz "other extension"

  .bss
  .balign 16
  .skip 64
stack_top:
