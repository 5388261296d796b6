/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of ACPI tables and of their machine language (ACPI 6.4, chapters 6.4 and 20). Calls append;
 * an allocation that fails makes the buffer stay as it is, and is reported once, by aml_failed().
 *
 * What has a length is opened and closed: the value that the opening call returns goes to
 * aml_close(). Names are of four characters.
 */
#ifndef ALCOR_CORE_BOARD_AML_H
#define ALCOR_CORE_BOARD_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *data;
	size_t len, cap;
	bool failed;
};

void aml_free(struct aml *aml);
static inline bool aml_failed(const struct aml *aml)
{
	return aml->failed;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t n);
void aml_u8(struct aml *aml, uint8_t value);
void aml_u16(struct aml *aml, uint16_t value);
void aml_u32(struct aml *aml, uint32_t value);
void aml_u64(struct aml *aml, uint64_t value);
/* Replaces bytes that are there. */
void aml_patch(struct aml *aml, size_t pos, const void *bytes, size_t n);

/* Data objects. */
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
/* "PNP0501" as the compressed integer. */
void aml_eisa_id(struct aml *aml, const char *id);
/* Whether @id has the form of an EISA id: three letters, four upper-case hexadecimal digits. */
bool aml_is_eisa_id(const char *id);
/* "33db4d5b-1ff7-401c-9657-7441c03dd766" as a buffer of 16 bytes. */
void aml_uuid(struct aml *aml, const char *uuid);
size_t aml_package(struct aml *aml, uint8_t n_elements);

/* Name(NAME, what follows). */
void aml_name(struct aml *aml, const char *name);
void aml_path(struct aml *aml, const char *name); /* the name alone */
size_t aml_scope(struct aml *aml, const char *name);
size_t aml_device(struct aml *aml, const char *name);
size_t aml_method(struct aml *aml, const char *name, uint8_t n_args, bool serialized);
void aml_close(struct aml *aml, size_t open);

/* Statements and operands; an operator is followed by its operands. */
enum aml_op {
	AML_LOCAL0 = 0x60,
	AML_ARG0 = 0x68,
	AML_STORE = 0x70,
	AML_AND = 0x7b,
	AML_OR = 0x7d,
	AML_NOTIFY = 0x86,
	AML_DWORD_FIELD = 0x8a,
	AML_NOT = 0x92, /* logical */
	AML_EQUAL = 0x93,
	AML_IF = 0xa0, /* aml_open() */
	AML_ELSE = 0xa1,
	AML_RETURN = 0xa4,
};
void aml_op(struct aml *aml, enum aml_op op);
size_t aml_open(struct aml *aml, enum aml_op op);

/* Resource templates (6.4): aml_resources(), descriptors, aml_resources_close(). */
size_t aml_resources(struct aml *aml);
void aml_resources_close(struct aml *aml, size_t open);
void aml_io(struct aml *aml, uint16_t base, uint8_t len);
void aml_memory32(struct aml *aml, uint32_t base, uint32_t len);
void aml_edge_interrupt(struct aml *aml, uint32_t gsi);

enum aml_window { AML_WINDOW_MEM, AML_WINDOW_IO, AML_WINDOW_BUS };
#define AML_MEM_RW	 0x01 /* type-specific flags (6.4.3.5.5) */
#define AML_MEM_PREFETCH 0x06
#define AML_IO_ENTIRE	 0x03
/* Address space that a bridge produces, in words of @width bytes: 2, 4 or 8. */
void aml_window(struct aml *aml, unsigned width, enum aml_window type, uint8_t flags, uint64_t base,
		uint64_t len);

#endif
