/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/payload.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "payload/kernel.h"
#include "util/cleanup.h"
#include "util/overflow.h"

/* Of what people pass by mistake, the magic numbers. */
static const struct {
	const char *magic;
	uint8_t len;
	uint16_t offset;
	const char *what;
} foreign[] = {
	{ "ARM\x64", 4, 56, "an aarch64 kernel Image; this machine is x86_64" },
	{ "\x1f\x8b", 2, 0, "gzip-compressed data; decompress it first" },
	{ "\xfd"
	  "7zXZ",
	  5, 0, "xz-compressed data; decompress it first" },
	{ "\x28\xb5\x2f\xfd", 4, 0, "zstd-compressed data; decompress it first" },
	{ "BZh", 3, 0, "bzip2-compressed data; decompress it first" },
	{ "MZ", 2, 0, "an EFI program without a Linux boot header" },
	{ "070701", 6, 0, "a cpio archive (an initramfs?)" },
	{ "QFI\xfb", 4, 0, "a qcow2 disk image" },
	{ "!<arch>\n", 8, 0, "an archive (a package?)" },
	{ "#!", 2, 0, "a script" },
};

struct head {
	uint8_t bytes[0x206];
	uint64_t len;
};

static bool head_has(const struct head *head, const char *magic, uint64_t len, uint64_t offset)
{
	return range_within(offset, len, head->len) && !memcmp(head->bytes + offset, magic, len);
}

static int kernel_foreign(const struct head *head, struct error *err)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(foreign); i++)
		if (head_has(head, foreign[i].magic, foreign[i].len, foreign[i].offset))
			return error_set(err, -EINVAL, "is %s", foreign[i].what);
	return error_set(err, -EINVAL, "is neither a bzImage nor an ELF kernel");
}

static int kernel_parse(struct kernel *kernel, bool pvh_only, struct error *err)
{
	struct head head = { .len = MIN(kernel->file.size, sizeof(head.bytes)) };
	int r;

	r = payload_file_read(&kernel->file, 0, head.bytes, head.len, err);
	if (r)
		return r;
	if (head_has(&head, ELFMAG, SELFMAG, 0)) {
		kernel->format = KERNEL_PVH;
		return pvh_parse(kernel, err);
	}
	if (!head_has(&head, "HdrS", 4, 0x202))
		return kernel_foreign(&head, err);
	if (pvh_only)
		return error_set(err, -EINVAL, "is a bzImage, not an ELF file; use --kernel");
	kernel->format = KERNEL_LINUX;
	return linux_parse(kernel, err);
}

static int kernel_open(const struct payload_config *config, struct kernel *kernel,
		       struct error *err)
{
	const char *path = config->kernel ? config->kernel : config->pvh;
	int r;

	if (!path)
		return error_set(err, -EINVAL, "nothing to start; use --kernel FILE");
	r = payload_file_open(path, &kernel->file, err);
	if (!r)
		r = kernel_parse(kernel, !config->kernel, err);
	return r;
}

static void kernel_close(struct kernel *kernel)
{
	payload_file_close(&kernel->file);
}

static void kernel_prefix(const struct payload_config *config, struct error *err)
{
	if (config->kernel)
		error_prefix(err, "--kernel %s", config->kernel);
	else if (config->pvh)
		error_prefix(err, "--pvh %s", config->pvh);
}

static int cmdline_check(const struct payload_config *config, const struct kernel *kernel,
			 struct error *err)
{
	size_t len = config->cmdline ? strlen(config->cmdline) : 0;

	if (len <= kernel->cmdline_max)
		return 0;
	return error_set(err, -E2BIG,
			 "--cmdline: %zu bytes are too many, this kernel takes at most %u", len,
			 kernel->cmdline_max);
}

int payload_check(const struct payload_config *config, struct error *err)
{
	__attribute__((cleanup(kernel_close))) struct kernel kernel = { .file.fd = -1 };
	struct payload_file initramfs;
	int r;

	r = kernel_open(config, &kernel, err);
	if (r) {
		kernel_prefix(config, err);
		return r;
	}
	r = cmdline_check(config, &kernel, err);
	if (r || !config->initramfs)
		return r;
	r = payload_file_open(config->initramfs, &initramfs, err);
	if (r) {
		error_prefix(err, "--initramfs %s", config->initramfs);
		return r;
	}
	payload_file_close(&initramfs);
	return 0;
}

static int kernel_load(const struct kernel *kernel, struct space *space, struct kernel_boot *boot,
		       struct error *err)
{
	if (kernel->format == KERNEL_LINUX)
		return linux_load(kernel, space, boot->env->mem, &boot->entry, err);
	return pvh_load(kernel, space, boot->env->mem, &boot->entry, err);
}

static int initramfs_load(const char *path, uint64_t limit, struct space *space,
			  struct kernel_boot *boot, struct error *err)
{
	struct payload_file file;
	uint64_t base;
	int r;

	r = payload_file_open(path, &file, err);
	if (r)
		return r;
	r = space_take_top(space, file.size, limit, "the initramfs", &base, err);
	if (!r)
		r = payload_file_load(&file, 0, file.size, boot->env->mem, base, err);
	if (!r) {
		boot->initrd = base;
		boot->initrd_len = file.size;
	}
	payload_file_close(&file);
	return r;
}

int payload_load(const struct payload_config *config, const struct payload_env *env,
		 struct hv_x86_start *ret_start, struct error *err)
{
	__attribute__((cleanup(kernel_close))) struct kernel kernel = { .file.fd = -1 };
	struct kernel_boot boot = { .env = env, .cmdline = config->cmdline ? config->cmdline : "" };
	struct space space;
	int r;

	space_init(&space, env);
	r = kernel_open(config, &kernel, err);
	if (!r)
		r = kernel_load(&kernel, &space, &boot, err);
	if (r) {
		kernel_prefix(config, err);
		return r;
	}
	r = cmdline_check(config, &kernel, err);
	if (r)
		return r;
	if (config->initramfs) {
		r = initramfs_load(config->initramfs, kernel.initrd_limit, &space, &boot, err);
		if (r) {
			error_prefix(err, "--initramfs %s", config->initramfs);
			return r;
		}
	}
	r = kernel.format == KERNEL_LINUX ? linux_start(&kernel, &boot, ret_start) :
					    pvh_start(&boot, ret_start);
	if (r)
		return error_errno(err, r, "boot information");
	return 0;
}
