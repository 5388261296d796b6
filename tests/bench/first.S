/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest PVH guest: its first instructions put one character on COM1, then it halts for ever.
 * The same file runs under any VMM that boots PVH and has a 16550A at 0x3f8.
 */
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad _start

	.section .text, "ax", @progbits
	.code32
	.globl _start
_start:
	movw $0x3f8, %dx
	movb $'!', %al
	outb %al, %dx
	movb $'\n', %al
	outb %al, %dx
1:	cli
	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
