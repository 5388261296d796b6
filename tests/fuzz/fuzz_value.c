/* SPDX-License-Identifier: Apache-2.0 */
/* The value grammar, with objects and a table of every type: one input is "OBJECT\nTEXT". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/machine.h"
#include "util/overflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct alcor_param rows[] = {
	{ .name = "path", .type = ALCOR_PARAM_PATH, .flags = ALCOR_PARAM_POSITIONAL },
	{ .name = "str", .alias = "s", .type = ALCOR_PARAM_STR, .flags = ALCOR_PARAM_REPEAT },
	{ .name = "bool", .type = ALCOR_PARAM_BOOL, .dflt = "on" },
	{ .name = "u64", .type = ALCOR_PARAM_U64, .min = 1, .max = 1000 },
	{ .name = "size", .type = ALCOR_PARAM_SIZE },
	{ .name = "enum", .type = ALCOR_PARAM_ENUM, .choices = "a|bc||d" },
	{ .name = "mac", .type = ALCOR_PARAM_MAC },
	{ .name = "fd", .type = ALCOR_PARAM_FD },
};
static const struct param_table table = { rows, ARRAY_SIZE(rows), sizeof(rows[0]) };

static void parse_params(const char *text, const struct objects *objects)
{
	struct params *params = NULL;
	struct error err = { .text = "" };
	int r = params_parse("fuzz", text, 0, &table, NULL, objects, &params, &err);

	/* What the program promises: a value or a text that says why not. */
	if ((r == 0) != (params != NULL) || (r < 0 && !*err.text))
		abort();
	if (r == 0 && params_given(params, "u64") &&
	    (params_u64(params, "u64") < 1 || params_u64(params, "u64") > 1000))
		abort();
	params_free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = strndup((const char *)data, size), *text = input;
	char *object = strsep(&text, "\n");
	struct machine_config config;
	struct error err;

	if (!input || machine_config_init(&config) < 0)
		abort();
	objects_add(config.objects, object, &err);
	parse_params(text ? text : object, config.objects);
	machine_parse_memory(&config, text ? text : object, &err);
	machine_parse_cpu(&config, text ? text : object, &err);
	machine_parse_hypervisor(&config, text ? text : object, &err);
	if (config.cpu.count != config.cpu.sockets * config.cpu.cores * config.cpu.threads)
		abort();
	machine_config_clear(&config);
	free(input);
	return 0;
}
