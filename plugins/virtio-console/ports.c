/* SPDX-License-Identifier: Apache-2.0 */
/* Further ports: port=NAME:SINK[:PATH] and console=SINK[:PATH]. */
#include <errno.h>

#include <alcor/cfg.h>

#include "hvc.h"

#define PREFIX_MAX 96

static const struct {
	const char *name;
	enum sink_kind kind;
	bool needs_path, may_have_path;
} kinds[] = {
	{ "stdio", SINK_STDIO, false, false }, { "file", SINK_FILE, true, true },
	{ "null", SINK_NULL, false, false },   { "pty", SINK_PTY, false, true },
	{ "socket", SINK_SOCKET, true, true },
};

/* Parses "SINK[:PATH]"; the path is the rest of @text, whatever it holds. */
static int sink_parse(struct alcor_dev *dev, const char *text, struct sink_config *config)
{
	size_t len = strcspn(text, ":");
	const char *path = text[len] ? text + len + 1 : NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strlen(kinds[i].name) != len || memcmp(kinds[i].name, text, len) != 0)
			continue;
		if (kinds[i].needs_path && (!path || !*path))
			return alcor_error(dev, -EINVAL, "%s%s needs a path: %s:PATH",
					   config->prefix, kinds[i].name, kinds[i].name);
		if (path && !kinds[i].may_have_path)
			return alcor_error(dev, -EINVAL, "%s%s has no path", config->prefix,
					   kinds[i].name);
		config->kind = kinds[i].kind;
		config->path = path && *path ? path : NULL;
		return 0;
	}
	return alcor_error(dev, -EINVAL,
			   "%sno sink '%.*s'; there are stdio, file, null, pty and socket",
			   config->prefix, (int)len, text);
}

/* The next port, whose place is taken only when its sink is open. */
static int port_add(struct hvc *hvc, const char *prefix, const char *sink, const char *name,
		    size_t name_len)
{
	struct sink_config config = { .prefix = prefix };
	struct hvc_port *port = &hvc->ports[hvc->n_ports];
	int ret;

	if (hvc->n_ports == HVC_PORTS_MAX)
		return alcor_error(hvc->dev, -EINVAL, "%sthere are at most %d further ports",
				   prefix, HVC_PORTS_MAX - 1);
	ret = sink_parse(hvc->dev, sink, &config);
	if (ret)
		return ret;
	port->hvc = hvc;
	port->id = (uint16_t)hvc->n_ports;
	port->is_console = !name_len;
	memcpy(port->name, name, name_len);
	ret = sink_open(hvc->dev, &config, &hvc_sink_ops, port, &port->sink);
	if (ret)
		return ret;
	hvc->n_ports++;
	return 0;
}

/* The name becomes one of a file in the guest. */
static bool name_is_valid(const char *name, size_t len)
{
	static const char valid[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_";

	return len && len <= HVC_NAME_MAX && strspn(name, valid) >= len && *name != '.';
}

static int named_port_create(struct hvc *hvc, const char *text)
{
	size_t len = strcspn(text, ":");
	char prefix[PREFIX_MAX];

	if (!text[len])
		return alcor_error(hvc->dev, -EINVAL, "port: '%s' is not of the form NAME:SINK",
				   text);
	if (!name_is_valid(text, len))
		return alcor_error(hvc->dev, -EINVAL,
				   "port: a name has 1 to %d letters, digits, '-', '_' and '.', "
				   "the first no dot",
				   HVC_NAME_MAX);
	snprintf(prefix, sizeof(prefix), "port %.*s: ", (int)len, text);
	for (unsigned i = 0; i < hvc->n_ports; i++) {
		if (strlen(hvc->ports[i].name) == len && memcmp(hvc->ports[i].name, text, len) == 0)
			return alcor_error(hvc->dev, -EEXIST, "%sthe name is taken", prefix);
	}
	return port_add(hvc, prefix, text + len + 1, text, len);
}

int hvc_ports_create(struct hvc *hvc)
{
	const struct alcor_cfg *cfg = alcor_service(hvc->dev, ALCOR_CFG_ID);
	uint32_t n_consoles = cfg->count(hvc->dev, "console");
	uint32_t n_named = cfg->count(hvc->dev, "port");
	int ret = 0;

	for (uint32_t i = 0; i < n_consoles && !ret; i++)
		ret = port_add(hvc, "console: ", cfg->str(hvc->dev, "console", i), "", 0);
	for (uint32_t i = 0; i < n_named && !ret; i++)
		ret = named_port_create(hvc, cfg->str(hvc->dev, "port", i));
	return ret;
}
