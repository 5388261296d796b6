/* SPDX-License-Identifier: Apache-2.0 */
#include "board/aml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/overflow.h"

#define OP_ZERO	   0x00
#define OP_ONE	   0x01
#define OP_NAME	   0x08
#define OP_BYTE	   0x0a
#define OP_WORD	   0x0b
#define OP_DWORD   0x0c
#define OP_STRING  0x0d
#define OP_QWORD   0x0e
#define OP_SCOPE   0x10
#define OP_BUFFER  0x11
#define OP_PACKAGE 0x12
#define OP_METHOD  0x14
#define OP_EXT	   0x5b
#define OP_DEVICE  0x82 /* after OP_EXT */

void aml_free(struct aml *aml)
{
	free(aml->data);
	*aml = (struct aml){ 0 };
}

static bool aml_grow(struct aml *aml, size_t n)
{
	size_t cap = MAX(aml->cap, 1024);
	uint8_t *data;

	if (aml->failed)
		return false;
	if (n <= aml->cap - aml->len)
		return true;
	while (cap - aml->len < n)
		cap *= 2;
	data = realloc(aml->data, cap);
	if (!data) {
		aml->failed = true;
		return false;
	}
	aml->data = data;
	aml->cap = cap;
	return true;
}

static void aml_insert(struct aml *aml, size_t pos, const void *bytes, size_t n)
{
	if (!aml_grow(aml, n))
		return;
	memmove(aml->data + pos + n, aml->data + pos, aml->len - pos);
	memcpy(aml->data + pos, bytes, n);
	aml->len += n;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t n)
{
	aml_insert(aml, aml->len, bytes, n);
}

/* ACPI is little-endian, and so is every machine this runs on. */
void aml_u8(struct aml *aml, uint8_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

void aml_u16(struct aml *aml, uint16_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

void aml_u32(struct aml *aml, uint32_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

void aml_u64(struct aml *aml, uint64_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

void aml_patch(struct aml *aml, size_t pos, const void *bytes, size_t n)
{
	if (!aml->failed)
		memcpy(aml->data + pos, bytes, n);
}

static size_t integer_encode(uint64_t value, uint8_t ret_bytes[9])
{
	size_t n;

	if (value <= 1) {
		ret_bytes[0] = value ? OP_ONE : OP_ZERO;
		return 1;
	}
	n = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
	ret_bytes[0] = n == 1 ? OP_BYTE : n == 2 ? OP_WORD : n == 4 ? OP_DWORD : OP_QWORD;
	memcpy(ret_bytes + 1, &value, n);
	return n + 1;
}

void aml_integer(struct aml *aml, uint64_t value)
{
	uint8_t bytes[9];

	aml_bytes(aml, bytes, integer_encode(value, bytes));
}

void aml_string(struct aml *aml, const char *text)
{
	aml_u8(aml, OP_STRING);
	aml_bytes(aml, text, strlen(text) + 1);
}

bool aml_is_eisa_id(const char *id)
{
	unsigned i;

	for (i = 0; i < 7; i++)
		if (i < 3 ? !(id[i] >= 'A' && id[i] <= 'Z') :
			    !strchr("0123456789ABCDEF", id[i]) || !id[i])
			return false;
	return !id[7];
}

/* 19.3.4: three letters of five bits, four hexadecimal digits; big-endian. */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = (uint32_t)strtoul(id + 3, NULL, 16);
	unsigned i;

	for (i = 0; i < 3; i++)
		value |= (uint32_t)(id[i] - 'A' + 1) << (26 - 5 * i);
	aml_u8(aml, OP_DWORD);
	aml_u32(aml, __builtin_bswap32(value));
}

/* 19.6.142: the first three groups are little-endian. */
void aml_uuid(struct aml *aml, const char *uuid)
{
	static const uint8_t position[16] = {
		3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15
	};
	uint8_t bytes[16];
	char digits[3] = "";
	unsigned i;

	for (i = 0; i < 16; i++) {
		if (*uuid == '-')
			uuid++;
		digits[0] = *uuid++;
		digits[1] = *uuid++;
		bytes[position[i]] = (uint8_t)strtoul(digits, NULL, 16);
	}
	aml_u8(aml, OP_BUFFER);
	aml_u8(aml, 1 + 2 + 16); /* PkgLength */
	aml_integer(aml, 16);
	aml_bytes(aml, bytes, sizeof(bytes));
}

void aml_path(struct aml *aml, const char *name)
{
	aml_bytes(aml, name, strlen(name));
}

void aml_name(struct aml *aml, const char *name)
{
	aml_u8(aml, OP_NAME);
	aml_path(aml, name);
}

size_t aml_package(struct aml *aml, uint8_t n_elements)
{
	size_t open;

	aml_u8(aml, OP_PACKAGE);
	open = aml->len;
	aml_u8(aml, n_elements);
	return open;
}

size_t aml_scope(struct aml *aml, const char *name)
{
	size_t open;

	aml_u8(aml, OP_SCOPE);
	open = aml->len;
	aml_path(aml, name);
	return open;
}

size_t aml_device(struct aml *aml, const char *name)
{
	size_t open;

	aml_u8(aml, OP_EXT);
	aml_u8(aml, OP_DEVICE);
	open = aml->len;
	aml_path(aml, name);
	return open;
}

size_t aml_method(struct aml *aml, const char *name, uint8_t n_args, bool serialized)
{
	size_t open;

	aml_u8(aml, OP_METHOD);
	open = aml->len;
	aml_path(aml, name);
	aml_u8(aml, (uint8_t)(n_args | (serialized ? 8 : 0)));
	return open;
}

void aml_op(struct aml *aml, enum aml_op op)
{
	aml_u8(aml, (uint8_t)op);
}

size_t aml_open(struct aml *aml, enum aml_op op)
{
	aml_op(aml, op);
	return aml->len;
}

/* 20.2.4: the length counts its own bytes; one byte holds 6 bits, else 4 and 8 in each further. */
void aml_close(struct aml *aml, size_t open)
{
	size_t n = 1, len;
	uint8_t bytes[4];
	unsigned i;

	if (aml->failed)
		return;
	len = aml->len - open;
	if (len + n > 63)
		for (n = 2; n < 4 && (len + n) >> (4 + 8 * (n - 1)); n++)
			;
	len += n;
	if (n == 1) {
		bytes[0] = (uint8_t)len;
	} else {
		bytes[0] = (uint8_t)((n - 1) << 6 | (len & 0xf));
		for (i = 1; i < n; i++)
			bytes[i] = (uint8_t)(len >> (8 * i - 4));
	}
	aml_insert(aml, open, bytes, n);
}

size_t aml_resources(struct aml *aml)
{
	aml_u8(aml, OP_BUFFER);
	return aml->len;
}

void aml_resources_close(struct aml *aml, size_t open)
{
	uint8_t bytes[9];

	aml_u16(aml, 0x0079); /* end tag; checksum 0 means none (6.4.2.9) */
	if (aml->failed)
		return;
	aml_insert(aml, open, bytes, integer_encode(aml->len - open, bytes));
	aml_close(aml, open);
}

void aml_io(struct aml *aml, uint16_t base, uint8_t len)
{
	aml_u8(aml, 0x47); /* 6.4.2.5 */
	aml_u8(aml, 1);	   /* 16-bit decode */
	aml_u16(aml, base);
	aml_u16(aml, base);
	aml_u8(aml, 1);
	aml_u8(aml, len);
}

void aml_memory32(struct aml *aml, uint32_t base, uint32_t len)
{
	aml_u8(aml, 0x86); /* 6.4.3.4 */
	aml_u16(aml, 9);
	aml_u8(aml, AML_MEM_RW);
	aml_u32(aml, base);
	aml_u32(aml, len);
}

void aml_edge_interrupt(struct aml *aml, uint32_t gsi)
{
	aml_u8(aml, 0x89); /* 6.4.3.6 */
	aml_u16(aml, 6);
	aml_u8(aml, 0x03); /* consumer, edge, active high, exclusive */
	aml_u8(aml, 1);
	aml_u32(aml, gsi);
}

static void aml_word(struct aml *aml, unsigned width, uint64_t value)
{
	aml_bytes(aml, &value, width);
}

void aml_window(struct aml *aml, unsigned width, enum aml_window type, uint8_t flags, uint64_t base,
		uint64_t len)
{
	aml_u8(aml, width == 2 ? 0x88 : width == 4 ? 0x87 : 0x8a); /* 6.4.3.5 */
	aml_u16(aml, (uint16_t)(3 + 5 * width));
	aml_u8(aml, (uint8_t)type);
	aml_u8(aml, 0x0c); /* producer, positive decode, fixed ends */
	aml_u8(aml, flags);
	aml_word(aml, width, 0); /* granularity */
	aml_word(aml, width, base);
	aml_word(aml, width, base + len - 1);
	aml_word(aml, width, 0); /* translation */
	aml_word(aml, width, len);
}
