/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file may be anything and may change while it is read: it is read piece by piece with pread(),
 * never mapped, and every offset is checked against the size that fstat() gave.
 */
#include "plugin/note.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/overflow.h"

#define NOTE_SEGMENTS_MAX 128 /* program headers of a file */
#define NOTE_COUNT_MAX	  64  /* notes of a segment */
#define NOTE_NAME_LEN_MAX 64
#define NOTE_WORD_LEN_MAX 32

#if defined(__x86_64__)
#define NOTE_MACHINE	  EM_X86_64
#define NOTE_MACHINE_NAME "x86_64"
#elif defined(__aarch64__)
#define NOTE_MACHINE	  EM_AARCH64
#define NOTE_MACHINE_NAME "aarch64"
#endif

/* --- words --- */

static bool word_ok(const char *text, size_t len, size_t max)
{
	size_t i;

	if (len == 0 || len > max || text[0] < 'a' || text[0] > 'z')
		return false;
	for (i = 0; i < len; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
		      text[i] == '-'))
			return false;
	return true;
}

bool note_name_ok(const char *name)
{
	return word_ok(name, strlen(name), NOTE_NAME_LEN_MAX);
}

bool note_class_ok(const char *dev_class)
{
	return word_ok(dev_class, strlen(dev_class), NOTE_WORD_LEN_MAX);
}

/* A word, or VENDOR.NAME. */
bool note_keyword_ok(const char *keyword)
{
	const char *dot = strchr(keyword, '.');

	if (strlen(keyword) > NOTE_WORD_LEN_MAX)
		return false;
	if (!dot)
		return word_ok(keyword, strlen(keyword), NOTE_WORD_LEN_MAX);
	return word_ok(keyword, dot - keyword, NOTE_WORD_LEN_MAX) &&
	       word_ok(dot + 1, strlen(dot + 1), NOTE_WORD_LEN_MAX);
}

/* The text goes to terminals. */
static bool value_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* --- the description --- */

static int parse_claim(struct plugin *plugin, const char *value, struct error *err)
{
	CLEANUP_FREE char *dev_class = strdup(value), *keyword = NULL;
	char *slash = dev_class ? strchr(dev_class, '/') : NULL;
	struct plugin_claim_note *grown;
	unsigned i;

	if (slash) {
		*slash = '\0';
		keyword = strdup(slash + 1);
	}
	grown = realloc(plugin->claims, (plugin->n_claims + 1) * sizeof(*grown));
	if (grown)
		plugin->claims = grown;
	if (!dev_class || !grown || (slash && !keyword))
		return error_errno(err, -ENOMEM, "note");
	if (!slash || !note_class_ok(dev_class) || !note_keyword_ok(keyword))
		return error_set(err, -EINVAL, "note: bad claim '%s', not CLASS/KEYWORD", value);
	for (i = 0; i < plugin->n_claims; i++)
		if (!strcmp(grown[i].dev_class, dev_class) && !strcmp(grown[i].keyword, keyword))
			return error_set(err, -EINVAL, "note: claim '%s' is there twice", value);
	grown[plugin->n_claims].dev_class = TAKE_PTR(dev_class);
	grown[plugin->n_claims++].keyword = TAKE_PTR(keyword);
	return 0;
}

static int parse_needs(struct plugin *plugin, const char *value, struct error *err)
{
	char **grown = realloc(plugin->needs, (plugin->n_needs + 1) * sizeof(*grown));

	if (!grown)
		return error_errno(err, -ENOMEM, "note");
	plugin->needs = grown;
	grown[plugin->n_needs] = strdup(value);
	if (!grown[plugin->n_needs])
		return error_errno(err, -ENOMEM, "note");
	plugin->n_needs++;
	return 0;
}

static int parse_string(char **field, const char *key, const char *value, struct error *err)
{
	if (*field)
		return error_set(err, -EINVAL, "note: key '%s' is there twice", key);
	if (!*value)
		return error_set(err, -EINVAL, "note: key '%s' is empty", key);
	*field = strdup(value);
	return *field ? 0 : error_errno(err, -ENOMEM, "note");
}

/* Unknown keys are for newer hosts, and ignored. */
static int parse_entry(struct plugin *plugin, char **name, const char *key, const char *value,
		       struct error *err)
{
	if (!strcmp(key, "name"))
		return parse_string(name, key, value, err);
	if (!strcmp(key, "version"))
		return parse_string(&plugin->version, key, value, err);
	if (!strcmp(key, "license"))
		return parse_string(&plugin->license, key, value, err);
	if (!strcmp(key, "abi"))
		return parse_string(&plugin->abi, key, value, err);
	if (!strcmp(key, "claim"))
		return parse_claim(plugin, value, err);
	if (!strcmp(key, "needs"))
		return parse_needs(plugin, value, err);
	return 0;
}

static int parse_entries(const char *desc, size_t len, struct plugin *plugin, char **name,
			 struct error *err)
{
	size_t pos = 0, n;
	unsigned count;
	int ret;

	while (len > 1 && !desc[len - 1] && !desc[len - 2])
		len--; /* padding */
	for (count = 0; pos < len; count++, pos += n + 1) {
		CLEANUP_FREE char *key = NULL;
		char *equals;

		n = strnlen(desc + pos, len - pos);
		if (count == NOTE_ENTRIES_MAX)
			return error_set(err, -EINVAL, "note: more than %d entries",
					 NOTE_ENTRIES_MAX);
		if (pos + n == len)
			return error_set(err, -EINVAL, "note: the last entry is not terminated");
		key = strdup(desc + pos);
		if (!key)
			return error_errno(err, -ENOMEM, "note");
		if (!value_printable(key))
			return error_set(err, -EINVAL, "note: unprintable characters");
		equals = strchr(key, '=');
		if (!equals || equals == key)
			return error_set(err, -EINVAL, "note: entry '%.40s' is not KEY=VALUE", key);
		*equals = '\0';
		ret = parse_entry(plugin, name, key, equals + 1, err);
		if (ret)
			return ret;
	}
	return 0;
}

/* What a newer or foreign plugin may ask that this host cannot give. */
static int check_usable(const struct plugin *plugin, struct error *err)
{
	static const char *const known[] = { "fs.read", "fs.write", "net.tap", "net.socket",
					     "vhost",	"vfio",	    "thread",  "exec" };
	unsigned i, k;

	if (strcmp(plugin->abi, ALCOR_ABI_STRING) != 0)
		return error_set(err, -ENOEXEC,
				 "built for plugin ABI %s, this alcor has " ALCOR_ABI_STRING
				 ": rebuild it with the SDK of this version",
				 plugin->abi);
	for (i = 0; i < plugin->n_needs; i++) {
		for (k = 0; k < ARRAY_SIZE(known); k++)
			if (!strcmp(plugin->needs[i], known[k]))
				break;
		if (k == ARRAY_SIZE(known))
			return error_set(err, -ENOEXEC,
					 "needs '%s', which this alcor does not know",
					 plugin->needs[i]);
	}
	return 0;
}

int note_parse(const char *desc, size_t len, struct plugin *plugin, struct error *err)
{
	CLEANUP_FREE char *name = NULL;
	int ret = parse_entries(desc, len, plugin, &name, err);
	const char *missing;

	if (ret)
		return ret;
	missing = !name		    ? "name" :
		  !plugin->version  ? "version" :
		  !plugin->license  ? "license" :
		  !plugin->abi	    ? "abi" :
		  !plugin->n_claims ? "claim" :
				      NULL;
	if (missing)
		return error_set(err, -EINVAL, "note: no key '%s'", missing);
	if (!note_name_ok(name))
		return error_set(err, -EINVAL, "note: bad name '%s'", name);
	if (strcmp(name, plugin->name) != 0)
		return error_set(err, -EINVAL, "its name is '%s', so the file must be alcor-%s.so",
				 name, name);
	return check_usable(plugin, err);
}

/* --- the file --- */

struct note_file {
	int fd;
	uint64_t size;
};

/* The description of the one note that is ours. */
struct note_desc {
	bool found;
	size_t len;
	char text[ALCOR_NOTE_MAX];
};

static int file_read(const struct note_file *file, uint64_t offset, void *buf, size_t len,
		     struct error *err)
{
	ssize_t n;

	if (!range_within(offset, len, file->size))
		return error_set(err, -ENOEXEC, "the file is truncated");
	do
		n = pread(file->fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, -errno, "read");
	if ((size_t)n != len)
		return error_set(err, -ENOEXEC, "the file is truncated");
	return 0;
}

static int check_header(const Elf64_Ehdr *header, struct error *err)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return error_set(err, -ENOEXEC, "not an ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return error_set(err, -ENOEXEC, "not a 64-bit little-endian ELF file");
	if (header->e_machine != NOTE_MACHINE)
		return error_set(err, -ENOEXEC,
				 "built for another machine (ELF %u) than " NOTE_MACHINE_NAME,
				 header->e_machine);
	if (header->e_type != ET_DYN)
		return error_set(err, -ENOEXEC, "not a shared object");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > NOTE_SEGMENTS_MAX)
		return error_set(err, -ENOEXEC, "bad ELF program headers");
	return 0;
}

static int note_take(const struct note_file *file, uint64_t offset, uint32_t len,
		     struct note_desc *desc, struct error *err)
{
	if (desc->found)
		return error_set(err, -ENOEXEC, "two alcor notes");
	if (len > sizeof(desc->text))
		return error_set(err, -ENOEXEC, "the alcor note is longer than %u bytes",
				 ALCOR_NOTE_MAX);
	desc->found = true;
	desc->len = len;
	return file_read(file, offset, desc->text, len, err);
}

/* One note of a segment that ends at @end; *@pos moves behind it. */
static int note_next(const struct note_file *file, uint64_t *pos, uint64_t end, uint64_t align,
		     struct note_desc *desc, struct error *err)
{
	char owner[sizeof(ALCOR_NOTE_OWNER)];
	uint64_t text, next;
	Elf64_Nhdr note;
	int ret;

	ret = file_read(file, *pos, &note, sizeof(note), err);
	if (ret)
		return ret;
	/* Sums of 32-bit sizes and offsets within the file. */
	text = align_up(sizeof(note) + note.n_namesz, align);
	next = align_up(text + note.n_descsz, align);
	if (text + note.n_descsz > end - *pos)
		return error_set(err, -ENOEXEC, "a note exceeds its segment");
	if (note.n_type == ALCOR_NOTE_TYPE && note.n_namesz == sizeof(owner)) {
		ret = file_read(file, *pos + sizeof(note), owner, sizeof(owner), err);
		if (!ret && !memcmp(owner, ALCOR_NOTE_OWNER, sizeof(owner)))
			ret = note_take(file, *pos + text, note.n_descsz, desc, err);
	}
	*pos += next;
	return ret;
}

static int segment_read(const struct note_file *file, const Elf64_Phdr *segment,
			struct note_desc *desc, struct error *err)
{
	uint64_t align = segment->p_align == 8 ? 8 : 4, pos = segment->p_offset, end;
	unsigned count;
	int ret;

	if (!range_within(segment->p_offset, segment->p_filesz, file->size))
		return error_set(err, -ENOEXEC, "the file is truncated");
	end = segment->p_offset + segment->p_filesz;
	for (count = 0; pos < end && end - pos >= sizeof(Elf64_Nhdr); count++) {
		if (count == NOTE_COUNT_MAX)
			return error_set(err, -ENOEXEC, "too many notes");
		ret = note_next(file, &pos, end, align, desc, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int desc_read(const struct note_file *file, struct note_desc *desc, struct error *err)
{
	Elf64_Phdr segment;
	Elf64_Ehdr header;
	unsigned i;
	int ret;

	if (file->size < sizeof(header))
		return error_set(err, -ENOEXEC, "not an ELF file");
	ret = file_read(file, 0, &header, sizeof(header), err);
	if (!ret)
		ret = check_header(&header, err);
	for (i = 0; !ret && i < header.e_phnum; i++) {
		/* No overflow: the first one lies within the file. */
		ret = file_read(file, header.e_phoff + i * sizeof(segment), &segment,
				sizeof(segment), err);
		if (!ret && segment.p_type == PT_NOTE)
			ret = segment_read(file, &segment, desc, err);
	}
	return ret;
}

int note_read(int fd, struct plugin *plugin, struct error *err)
{
	struct note_desc desc = { .found = false };
	struct note_file file = { .fd = fd };
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat");
	file.size = st.st_size;
	ret = desc_read(&file, &desc, err);
	if (ret)
		return ret;
	if (!desc.found)
		return error_set(err, -ENOEXEC, "no alcor note: not a plugin of alcor");
	return note_parse(desc.text, desc.len, plugin, err);
}

void plugin_clear(struct plugin *plugin)
{
	unsigned i;

	for (i = 0; i < plugin->n_claims; i++) {
		free(plugin->claims[i].dev_class);
		free(plugin->claims[i].keyword);
	}
	for (i = 0; i < plugin->n_needs; i++)
		free(plugin->needs[i]);
	free(plugin->claims);
	free(plugin->needs);
	free(plugin->path);
	free(plugin->name);
	free(plugin->version);
	free(plugin->license);
	free(plugin->abi);
	free(plugin->reason);
	free((void *)plugin->desc);
	memset(plugin, 0, sizeof(*plugin));
}
