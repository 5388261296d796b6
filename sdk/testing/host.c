/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, life cycle and the host object. */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "alcor_testing.h"

void alcor_fake_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("fake host: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

struct alcor_fake *alcor_fake_of(struct alcor_dev *dev)
{
	return (struct alcor_fake *)dev;
}

static const void *fake_service(const struct alcor_host *host, const char *id)
{
	static const struct {
		const char *id;
		const void *table;
	} services[] = {
		{ ALCOR_CFG_ID, &alcor_fake_cfg },	   { ALCOR_LOOP_ID, &alcor_fake_loop },
		{ ALCOR_VIRTIO_ID, &alcor_fake_virtio },   { ALCOR_PCI_ID, &alcor_fake_pci },
		{ ALCOR_CONSOLE_ID, &alcor_fake_console }, { ALCOR_IO_ID, &alcor_fake_io },
		{ ALCOR_VM_ID, &alcor_fake_vm },	   { ALCOR_ACPI_ID, &alcor_fake_acpi },
		{ ALCOR_MEM_ID, &alcor_fake_mem },	   { ALCOR_CTL_ID, &alcor_fake_ctl },
	};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (strcmp(services[i].id, id) == 0)
			return services[i].table;
	}
	return NULL;
}

static void fake_log(const struct alcor_host *host, struct alcor_dev *dev, uint32_t level,
		     const char *msg)
{
	struct alcor_fake *fake =
		(struct alcor_fake *)((char *)host - offsetof(struct alcor_fake, host));

	pthread_mutex_lock(&fake->lock);
	snprintf(fake->log, sizeof(fake->log), "%s", msg);
	fake->log_level = level;
	fake->n_logs++;
	pthread_mutex_unlock(&fake->lock);
}

static void fake_error(struct alcor_dev *dev, const char *msg)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	snprintf(fake->error, sizeof(fake->error), "%s", msg);
}

static const struct alcor_plugin *plugin_load(const char *path)
{
	const struct alcor_plugin *(*entry)(void);
	const struct alcor_plugin *plugin;
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!object)
		alcor_fake_die("%s", dlerror());
	*(void **)&entry = dlsym(object, "alcor_plugin_entry_1");
	if (!entry)
		alcor_fake_die("%s: no alcor_plugin_entry_1", path);
	plugin = entry();
	dlclose(object);
	if (plugin->struct_size != sizeof(*plugin) ||
	    plugin->claim_size != sizeof(struct alcor_claim) ||
	    plugin->abi_major != ALCOR_ABI_MAJOR || plugin->abi_minor != ALCOR_ABI_MINOR)
		alcor_fake_die("%s: built against another ABI", path);
	return plugin;
}

static const struct alcor_claim *claim_find(const struct alcor_plugin *plugin, const char *name)
{
	char buf[128];

	for (uint32_t i = 0; i < plugin->n_claims; i++) {
		const struct alcor_claim *claim = &plugin->claims[i];

		snprintf(buf, sizeof(buf), "%s/%s", claim->dev_class, claim->keyword);
		if (strcmp(buf, name) != 0)
			continue;
		if (!claim->ops || !claim->ops->create || !claim->ops->destroy ||
		    claim->ops->struct_size != sizeof(*claim->ops) ||
		    (claim->n_params && claim->param_size != sizeof(struct alcor_param)) ||
		    claim->n_params > ALCOR_FAKE_PARAMS)
			alcor_fake_die("%s: malformed claim", name);
		return claim;
	}
	alcor_fake_die("%s: no such claim", name);
}

struct alcor_fake *alcor_fake_new(const char *path, const char *claim)
{
	struct alcor_fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		alcor_fake_die("no memory");
	fake->host.struct_size = sizeof(fake->host);
	fake->host.abi_major = ALCOR_ABI_MAJOR;
	fake->host.abi_minor = ALCOR_ABI_MINOR;
	fake->host.version = "fake";
	fake->host.service = fake_service;
	fake->host.log = fake_log;
	fake->host.error = fake_error;
	fake->dev.host = &fake->host;
	fake->dev.id = "dev0";
	fake->output_room = sizeof(fake->output) - 1;
	pthread_mutex_init(&fake->lock, NULL);
	alcor_fake_loop_init(fake);
	alcor_fake_mem_init(fake);
	fake->plugin = plugin_load(path);
	fake->claim = claim_find(fake->plugin, claim);
	if (fake->plugin->init && fake->plugin->init(&fake->host))
		alcor_fake_die("%s: init() failed", path);
	return fake;
}

int alcor_fake_realize(struct alcor_fake *fake)
{
	return fake->claim->ops->realize ? fake->claim->ops->realize(fake->priv) : 0;
}

void alcor_fake_reset(struct alcor_fake *fake, uint32_t kind)
{
	if (fake->claim->ops->reset)
		fake->claim->ops->reset(fake->priv, kind);
}

int alcor_fake_resume(struct alcor_fake *fake)
{
	return fake->claim->ops->resume ? fake->claim->ops->resume(fake->priv) : 0;
}

int alcor_fake_pause(struct alcor_fake *fake)
{
	return fake->claim->ops->pause ? fake->claim->ops->pause(fake->priv) : 0;
}

void alcor_fake_destroy(struct alcor_fake *fake)
{
	if (fake->priv)
		fake->claim->ops->destroy(fake->priv);
	fake->priv = NULL;
}

void alcor_fake_free(struct alcor_fake *fake)
{
	if (!fake)
		return;
	alcor_fake_destroy(fake);
	alcor_fake_virtio_fini(fake);
	alcor_fake_loop_fini(fake);
	alcor_fake_mem_fini(fake);
	if (fake->console.in_fd > 0)
		close(fake->console.in_fd);
	if (fake->console.out_fd > 0)
		close(fake->console.out_fd);
	for (uint32_t i = 0; i < ALCOR_FAKE_PORTS; i++) {
		if (fake->ports[i].out_fd > 0)
			close(fake->ports[i].out_fd);
	}
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}
