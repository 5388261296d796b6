/* SPDX-License-Identifier: Apache-2.0 */
/* The note of a plugin: its text, and the file that it is read from, whole and damaged. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "plugin/note.h"

#define HEAD "name=x\0version=1\0license=MIT\0abi=" ALCOR_ABI_STRING "\0"

/* --- the text --- */

struct text_case {
	const char *text;
	size_t len;
	const char *why; /* NULL: good */
};

#define CASE(text, why)                     \
	{                                   \
		text, sizeof(text) - 1, why \
	}

static const struct text_case text_cases[] = {
	CASE(HEAD "claim=blk/file\0", NULL),
	CASE(HEAD "claim=blk/acme.file\0claim=net/tap-2\0needs=vhost\0future=1\0", NULL),
	CASE(HEAD "claim=blk/file\0\0\0\0", NULL),
	CASE("", "no key 'name'"),
	CASE("\0\0", "is not KEY=VALUE"),
	CASE("name=x\0license=MIT\0abi=0.1\0claim=a/b\0", "no key 'version'"),
	CASE("name=x\0version=1\0abi=0.1\0claim=a/b\0", "no key 'license'"),
	CASE("name=x\0version=1\0license=MIT\0claim=a/b\0", "no key 'abi'"),
	CASE(HEAD, "no key 'claim'"),
	CASE(HEAD "claim=blk/file", "not terminated"),
	CASE(HEAD "claim\0", "'claim' is not KEY=VALUE"),
	CASE(HEAD "=x\0", "is not KEY=VALUE"),
	CASE(HEAD "\0claim=a/b\0", "is not KEY=VALUE"),
	CASE(HEAD "name=x\0claim=a/b\0", "'name' is there twice"),
	CASE("name=\0", "'name' is empty"),
	CASE(HEAD "claim=a/b\0claim=a/b\0", "'a/b' is there twice"),
	CASE(HEAD "claim=blk\0", "bad claim 'blk'"),
	CASE(HEAD "claim=/file\0", "bad claim"),
	CASE(HEAD "claim=blk/\0", "bad claim"),
	CASE(HEAD "claim=Blk/file\0", "bad claim"),
	CASE(HEAD "claim=blk/a.b.c\0", "bad claim"),
	CASE(HEAD "claim=blk/.b\0", "bad claim"),
	CASE(HEAD "claim=blk/2b\0", "bad claim"),
	CASE(HEAD "claim=blk/a234567890123456789012345678901234\0", "bad claim"),
	CASE(HEAD "claim=a/b\0x=\033[2J\0", "unprintable"),
	CASE(HEAD "claim=a/b\0needs=teleport\0", "needs 'teleport'"),
	CASE("name=y\0version=1\0license=MIT\0abi=0.1\0claim=a/b\0", "must be alcor-y.so"),
	CASE("name=../x\0version=1\0license=MIT\0abi=0.1\0claim=a/b\0", "bad name"),
	CASE("name=x\0version=1\0license=MIT\0abi=1.0\0claim=a/b\0",
	     "plugin ABI 1.0, this alcor has"),
	CASE("name=x\0version=1\0license=MIT\0abi=0.10\0claim=a/b\0", "plugin ABI 0.10"),
};

static void assert_says(const struct error *err, const char *why)
{
	if (!strstr(err->text, why))
		fail_msg("'%s' does not say '%s'", err->text, why);
	assert_null(strchr(err->text, '\n'));
}

static void test_text(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		const struct text_case *c = &text_cases[i];
		struct plugin plugin = { .name = strdup("x") };
		struct error err = { .text = "" };
		int ret = note_parse(c->text, c->len, &plugin, &err);

		if (c->why) {
			assert_true(ret < 0);
			assert_says(&err, c->why);
		} else {
			assert_string_equal(err.text, "");
			assert_int_equal(ret, 0);
		}
		plugin_clear(&plugin);
	}
}

static void test_text_values(void **state)
{
	static const char text[] = HEAD "claim=blk/acme.file\0claim=net/tap\0needs=vhost\0";
	struct plugin plugin = { .name = strdup("x") };
	struct error err;

	assert_int_equal(note_parse(text, sizeof(text) - 1, &plugin, &err), 0);
	assert_string_equal(plugin.version, "1");
	assert_string_equal(plugin.license, "MIT");
	assert_string_equal(plugin.abi, ALCOR_ABI_STRING);
	assert_int_equal(plugin.n_claims, 2);
	assert_string_equal(plugin.claims[0].dev_class, "blk");
	assert_string_equal(plugin.claims[0].keyword, "acme.file");
	assert_string_equal(plugin.claims[1].keyword, "tap");
	assert_int_equal(plugin.n_needs, 1);
	assert_string_equal(plugin.needs[0], "vhost");
	plugin_clear(&plugin);
}

static void test_too_many_entries(void **state)
{
	char text[1024] = HEAD "claim=a/b\0";
	size_t len = sizeof(HEAD "claim=a/b\0") - 1;
	struct plugin plugin = { .name = strdup("x") };
	struct error err;
	unsigned n;

	for (n = 5; n < NOTE_ENTRIES_MAX; n++) {
		memcpy(text + len, "k=v", 4);
		len += 4;
	}
	assert_int_equal(note_parse(text, len, &plugin, &err), 0);
	plugin_clear(&plugin);
	plugin.name = strdup("x");
	memcpy(text + len, "k=v", 4);
	assert_true(note_parse(text, len + 4, &plugin, &err) < 0);
	assert_says(&err, "more than 64");
	plugin_clear(&plugin);
}

/* --- the file --- */

static const char good_text[] = HEAD "claim=blk/file\0";

/* A shared object that is nothing but two notes, a foreign one and ours. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Nhdr foreign;
	char foreign_name[4], foreign_desc[8];
	Elf64_Nhdr note;
	char owner[8];
	char text[2 * ALCOR_NOTE_MAX];
};

static void image_init(struct image *image)
{
	memset(image, 0, sizeof(*image));
	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_type = ET_DYN;
#ifdef __x86_64__
	image->header.e_machine = EM_X86_64;
#else
	image->header.e_machine = EM_AARCH64;
#endif
	image->header.e_phoff = offsetof(struct image, segments);
	image->header.e_phentsize = sizeof(Elf64_Phdr);
	image->header.e_phnum = 2;
	image->segments[0].p_type = PT_LOAD;
	image->segments[1] = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_align = 4,
		.p_offset = offsetof(struct image, foreign),
		.p_filesz = offsetof(struct image, text) - offsetof(struct image, foreign) +
			    (sizeof(good_text) + 2) / 4 * 4,
	};
	image->foreign = (Elf64_Nhdr){ .n_namesz = 4, .n_descsz = 8, .n_type = 1 };
	memcpy(image->foreign_name, "GNU", 4);
	image->note = (Elf64_Nhdr){
		.n_namesz = sizeof(ALCOR_NOTE_OWNER),
		.n_descsz = sizeof(good_text) - 1,
		.n_type = ALCOR_NOTE_TYPE,
	};
	memcpy(image->owner, ALCOR_NOTE_OWNER, sizeof(ALCOR_NOTE_OWNER));
	memcpy(image->text, good_text, sizeof(good_text));
}

static int read_image(const void *image, size_t len, struct error *err)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct plugin plugin = { .name = strdup("x") };
	int ret;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, image, len, 0), len);
	err->text[0] = '\0';
	ret = note_read(fd, &plugin, err);
	plugin_clear(&plugin);
	close(fd);
	return ret;
}

static void assert_bad(const struct image *image, const char *why)
{
	struct error err;

	assert_true(read_image(image, sizeof(*image), &err) < 0);
	assert_says(&err, why);
}

static void test_file(void **state)
{
	struct image image;
	struct error err;

	image_init(&image);
	assert_int_equal(read_image(&image, sizeof(image), &err), 0);
}

static void test_file_headers(void **state)
{
	struct image image;

	image_init(&image);
	image.header.e_ident[0] = '#';
	assert_bad(&image, "not an ELF file");
	image_init(&image);
	image.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_bad(&image, "not a 64-bit");
	image_init(&image);
	image.header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_bad(&image, "little-endian");
	image_init(&image);
	image.header.e_machine = EM_RISCV;
	assert_bad(&image, "another machine");
	image_init(&image);
	image.header.e_type = ET_EXEC;
	assert_bad(&image, "not a shared object");
	image_init(&image);
	image.header.e_phentsize = 1;
	assert_bad(&image, "bad ELF program headers");
	image_init(&image);
	image.header.e_phnum = 65535;
	assert_bad(&image, "bad ELF program headers");
	image_init(&image);
	image.header.e_phoff = UINT64_MAX - 8;
	assert_bad(&image, "truncated");
	image_init(&image);
	image.header.e_phoff = sizeof(image) - 8;
	assert_bad(&image, "truncated");
}

static void test_file_notes(void **state)
{
	struct image image;

	image_init(&image);
	image.segments[1].p_offset = UINT64_MAX - 3;
	assert_bad(&image, "truncated");
	image_init(&image);
	image.segments[1].p_filesz = UINT64_MAX;
	assert_bad(&image, "truncated");
	image_init(&image);
	image.note.n_descsz = UINT32_MAX;
	assert_bad(&image, "exceeds its segment");
	image_init(&image);
	image.foreign.n_namesz = UINT32_MAX;
	assert_bad(&image, "exceeds its segment");
	image_init(&image);
	image.note.n_type = 2;
	assert_bad(&image, "no alcor note");
	image_init(&image);
	image.owner[5] = 'x';
	assert_bad(&image, "no alcor note");
	image_init(&image);
	image.segments[1].p_filesz = 0;
	assert_bad(&image, "no alcor note");
	image_init(&image);
	image.segments[0] = image.segments[1];
	assert_bad(&image, "two alcor notes");
	image_init(&image);
	image.note.n_descsz = ALCOR_NOTE_MAX + 1;
	image.segments[1].p_filesz = sizeof(image) - image.segments[1].p_offset;
	assert_bad(&image, "longer than 4096");
	/* Empty notes without an end. */
	image_init(&image);
	image.segments[1].p_offset = offsetof(struct image, text) + ALCOR_NOTE_MAX;
	image.segments[1].p_filesz = ALCOR_NOTE_MAX;
	assert_bad(&image, "too many notes");
}

static void test_truncated(void **state)
{
	struct image image;
	struct error err;
	size_t len, end;

	image_init(&image);
	end = image.segments[1].p_offset + image.segments[1].p_filesz;
	for (len = 0; len < end; len++) {
		assert_true(read_image(&image, len, &err) < 0);
		assert_true(strstr(err.text, "truncated") || strstr(err.text, "not an ELF file"));
	}
	assert_int_equal(read_image(&image, end, &err), 0);
}

/* What a compiler and a linker make of ALCOR_PLUGIN_NOTE. */
static void test_real_plugin(void **state)
{
	struct plugin plugin = { .name = strdup("good") };
	int fd = open(TEST_PLUGIN_DIR "/alcor-good.so", O_RDONLY | O_CLOEXEC);
	struct error err = { .text = "" };

	assert_true(fd >= 0);
	assert_int_equal(note_read(fd, &plugin, &err), 0);
	assert_string_equal(err.text, "");
	assert_string_equal(plugin.version, "1.2");
	assert_int_equal(plugin.n_claims, 1);
	assert_string_equal(plugin.claims[0].keyword, "good");
	plugin_clear(&plugin);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_values),
		cmocka_unit_test(test_too_many_entries),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_headers),
		cmocka_unit_test(test_file_notes),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_real_plugin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
