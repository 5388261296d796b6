/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the PVH entry (32-bit flat, paging off) to C in long mode, and the few places where a
 * guest needs ring 0 again: interrupts, the gate that runs a function in ring 0, a second CPU.
 *
 * The page tables are part of the image, so that nothing has to be computed before paging is on:
 * 8 GiB of identity map in 2 MiB pages that ring 3 may use too.
 */
#define SEL_CODE32 0x08
#define SEL_DATA   0x10
#define SEL_CODE64 0x18
#define SEL_UDATA  0x23
#define SEL_UCODE  0x2b
#define SEL_TSS    0x30

	.section .note.xen, "a", @note
	.balign 4
	.long 4, 8, 18		/* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad pvh_entry

	.section .data.pagetables, "aw", @progbits
	.balign 4096
	.globl pdpt
pml4:
	.quad pdpt + 7
	.fill 511, 8, 0
pdpt:
	.set i, 0
	.rept 8
	.quad pd + i * 4096 + 7
	.set i, i + 1
	.endr
	.fill 504, 8, 0
pd:
	.set i, 0
	.rept 8 * 512
	.quad i * 0x200000 + 0x87
	.set i, i + 1
	.endr

	.data
	.balign 16
	.globl gdt_tss
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* code32 */
	.quad 0x00cf93000000ffff	/* data */
	.quad 0x00af9b000000ffff	/* code64 */
	.quad 0x00cff3000000ffff	/* ring 3 data */
	.quad 0x00affb000000ffff	/* ring 3 code64 */
gdt_tss:
	.quad 0, 0
gdt_end:
gdt_ptr:
	.word gdt_end - gdt - 1
	.quad gdt

	.text
	.code32
	.globl pvh_entry
pvh_entry:
	cli
	cld
	mov %ebx, %ebp
	mov $bss_start, %edi
	mov $bss_end, %ecx
	sub %edi, %ecx
	shr $2, %ecx
	xor %eax, %eax
	rep stosl
	mov $boot_stack_top, %esp
	lgdt gdt_ptr
	mov $boot64, %esi
enter_long_mode:
	mov $0x20, %eax			/* CR4.PAE */
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx		/* EFER */
	rdmsr
	or $0x100, %eax			/* LME */
	wrmsr
	mov $0x80000033, %eax		/* CR0: PG NE ET MP PE */
	mov %eax, %cr0
	ljmp $SEL_CODE64, $long_mode

	.code64
long_mode:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	mov %esi, %eax
	jmp *%rax
boot64:
	mov %ebp, %edi
	xor %ebp, %ebp
	call cpu_main
	/* Into ring 3 with IOPL 3 and interrupts on. */
	pushq $SEL_UDATA
	pushq $user_stack_top
	pushq $0x3202
	pushq $SEL_UCODE
	pushq $user_main
	iretq

	/* Interrupt stubs: vectors 0..95, 16 bytes each. */
	.balign 16
	.globl isr_stubs
isr_stubs:
	.set v, 0
	.rept 96
	.balign 16
	.if (v == 8) || (v >= 10 && v <= 14) || (v == 17) || (v == 21)
	nop
	.else
	pushq $0
	.endif
	pushq $v
	jmp isr_common
	.set v, v + 1
	.endr
	.balign 16

isr_common:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call isr_handle
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq

	/*
	 * uint64_t ring0(fn, arg): the #UD handler knows this place. Not every KVM that emulates
	 * ring 0 knows INT and SYSCALL, but each delivers #UD.
	 */
	.globl ring0, ring0_gate
ring0:
ring0_gate:
	ud2
	ret

	/* int fault_guard(struct fault_context *): 0 now, 1 when an exception came back here. */
	.globl fault_guard
fault_guard:
	mov (%rsp), %rax
	mov %rax, 0(%rdi)
	lea 8(%rsp), %rax
	mov %rax, 8(%rdi)
	mov %rbx, 16(%rdi)
	mov %rbp, 24(%rdi)
	mov %r12, 32(%rdi)
	mov %r13, 40(%rdi)
	mov %r14, 48(%rdi)
	mov %r15, 56(%rdi)
	xor %eax, %eax
	ret

	/* A second CPU starts here in real mode, copied to a page below 1 MiB. */
	.globl ap_trampoline, ap_trampoline_end
	.code16
	.balign 16
ap_trampoline:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_gdt_ptr - ap_trampoline
	mov $0x11, %eax
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $ap_entry32
	.balign 4
ap_gdt_ptr:
	.word gdt_end - gdt - 1
	.long gdt
ap_trampoline_end:

	.code32
ap_entry32:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov $ap64, %esi
	jmp enter_long_mode
	.code64
ap64:
	mov $ap_stack_top, %esp
	call ap_main
1:	cli
	hlt
	jmp 1b

	.section .bss.stacks, "aw", @nobits
	.balign 16
	.skip 4096
boot_stack_top:
	.skip 8192
	.globl irq_stack_top
irq_stack_top:
	.skip 16384
user_stack_top:
	.skip 4096
ap_stack_top:
	.section .note.GNU-stack, "", @progbits
