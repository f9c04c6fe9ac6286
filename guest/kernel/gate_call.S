/* SPDX-License-Identifier: GPL-2.0-or-later */
/* uint64_t gate_call(enum gate gate, uint64_t argument0, uint64_t argument1, uint64_t argument2), at CPL 3. */
        .section .text.gate, "ax"
        .globl gate_call, gate_instruction
gate_call:
gate_instruction:
        ud2
        ret
        .section .note.GNU-stack, "", @progbits
