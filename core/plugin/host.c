/* SPDX-License-Identifier: Apache-2.0 */
/* The host object: what a plugin can reach. */
#include "plugin/device_impl.h"
#include "plugin/plugin.h"
#include "plugin/svc.h"

#define LOG_TEXT_MAX 512

static const void *host_service(const struct alcor_host *host, const char *id)
{
	static const struct {
		const char *id;
		const void *table;
	} services[] = {
		{ ALCOR_ACPI_ID, &svc_acpi },	    { ALCOR_CFG_ID, &svc_cfg },
		{ ALCOR_CONSOLE_ID, &svc_console }, { ALCOR_CTL_ID, &svc_ctl },
		{ ALCOR_IO_ID, &svc_io },	    { ALCOR_LOOP_ID, &svc_loop },
		{ ALCOR_MEM_ID, &svc_mem },	    { ALCOR_PCI_ID, &svc_pci },
		{ ALCOR_VIRTIO_ID, &svc_virtio },   { ALCOR_VM_ID, &svc_vm },
	};
	size_t i;

	for (i = 0; id && i < ARRAY_SIZE(services); i++)
		if (!strcmp(id, services[i].id))
			return services[i].table;
	return NULL;
}

/* One printable line: the text may contain what a guest or a peer sent. */
static void one_line(char *ret_text, size_t len, const char *msg)
{
	size_t i;

	for (i = 0; i + 1 < len && msg[i]; i++)
		ret_text[i] = (unsigned char)msg[i] < ' ' || msg[i] == 0x7f ? '?' : msg[i];
	ret_text[i] = '\0';
}

static void host_log(const struct alcor_host *host, struct alcor_dev *pub, uint32_t level,
		     const char *msg)
{
	enum log_level to = MIN(level, (uint32_t)LOG_DEBUG);
	char text[LOG_TEXT_MAX];

	if (to > log_get_level())
		return;
	one_line(text, sizeof(text), msg);
	if (pub)
		log_limited(&device_of(pub)->log_limit, to, "%s: %s", pub->id, text);
	else
		log_msg(to, "%s", text);
}

static void host_error(struct alcor_dev *pub, const char *msg)
{
	struct error detail = { .text = "" };

	one_line(detail.text, LOG_TEXT_MAX, msg);
	device_set_detail(device_of(pub), &detail);
}

const struct alcor_host *plugin_host(void)
{
	static const struct alcor_host host = {
		.struct_size = sizeof(host),
		.abi_major = ALCOR_ABI_MAJOR,
		.abi_minor = ALCOR_ABI_MINOR,
		.version = ALCOR_VERSION,
		.service = host_service,
		.log = host_log,
		.error = host_error,
	};

	return &host;
}
