/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.cfg/1: a device's parameters. */
#include <errno.h>

#include "plugin/device_impl.h"
#include "plugin/svc.h"

#define TYPE(type)   (1u << ALCOR_PARAM_##type)
#define TYPES_OF_STR (TYPE(STR) | TYPE(PATH) | TYPE(ENUM))
#define TYPES_OF_U64 (TYPE(U64) | TYPE(SIZE) | TYPE(BOOL) | TYPE(ENUM) | TYPE(FD))
#define TYPES_ALL    (TYPES_OF_STR | TYPES_OF_U64 | TYPE(MAC))

static bool table_has(const struct param_table *table, const char *key, uint32_t types)
{
	struct alcor_param row;
	uint32_t i;

	for (i = 0; i < table->n; i++) {
		param_table_row(table, i, &row);
		if (!strcmp(row.name, key))
			return types & (1u << row.type);
	}
	return false;
}

/* A key of no table, or asked for as what it is not, is a mistake of the plugin's author. */
static bool key_ok(struct device *dev, const char *key, uint32_t types)
{
	const struct alcor_claim *claim = dev->claim;
	struct param_table own = { claim->params, claim->n_params, claim->param_size };

	if (table_has(&own, key, types) || table_has(device_common_params(claim), key, types))
		return true;
	log_limited(&dev->log_limit, LOG_ERROR, "%s: the plugin has no parameter '%s' of that type",
		    dev->id, key);
	return false;
}

static uint32_t cfg_count(struct alcor_dev *pub, const char *key)
{
	struct device *dev = device_of(pub);

	return key_ok(dev, key, TYPES_ALL) ? params_count(dev->params, key) : 0;
}

static const char *cfg_str(struct alcor_dev *pub, const char *key, uint32_t index)
{
	struct device *dev = device_of(pub);

	return key_ok(dev, key, TYPES_OF_STR) ? params_str(dev->params, key, index) : NULL;
}

static uint64_t cfg_u64(struct alcor_dev *pub, const char *key)
{
	struct device *dev = device_of(pub);

	return key_ok(dev, key, TYPES_OF_U64) ? params_u64(dev->params, key) : 0;
}

static int cfg_mac(struct alcor_dev *pub, const char *key, uint8_t ret_mac[6])
{
	struct device *dev = device_of(pub);

	return key_ok(dev, key, TYPE(MAC)) ? params_mac(dev->params, key, ret_mac) : -ENOENT;
}

const struct alcor_cfg svc_cfg = {
	.struct_size = sizeof(svc_cfg),
	.count = cfg_count,
	.str = cfg_str,
	.u64 = cfg_u64,
	.mac = cfg_mac,
};
