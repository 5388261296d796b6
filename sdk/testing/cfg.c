/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: a plain reader of the value grammar, enough for tests. */
#include <errno.h>
#include <stdlib.h>

#include "alcor_testing.h"

static struct alcor_fake_value *value_find(struct alcor_fake *fake, const char *key)
{
	for (uint32_t i = 0; i < ALCOR_FAKE_PARAMS; i++) {
		const struct alcor_param *param = fake->values[i].param;

		if (param && strcmp(param->name, key) == 0)
			return &fake->values[i];
	}
	return NULL;
}

static const struct alcor_param *param_find(const struct alcor_claim *claim, const char *key)
{
	for (uint32_t i = 0; i < claim->n_params; i++) {
		const struct alcor_param *param = &claim->params[i];

		if (key ? strcmp(param->name, key) == 0 ||
				    (param->alias && strcmp(param->alias, key) == 0) :
			  (param->flags & ALCOR_PARAM_POSITIONAL) != 0)
			return param;
	}
	return NULL;
}

static int number_parse(const struct alcor_param *param, const char *text, uint64_t *ret_number)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		number <<= 10 * (unit - units + 1);
		end++;
	}
	if (errno || end == text || *end || number < param->min ||
	    (param->max && number > param->max))
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* The index of @text in "a|b|c". */
static int choice_parse(const char *choices, const char *text, uint64_t *ret_number)
{
	size_t len = strlen(text);
	uint64_t index = 0;

	for (const char *at = choices; at; index++) {
		const char *bar = strchr(at, '|');
		size_t n = bar ? (size_t)(bar - at) : strlen(at);

		if (n == len && memcmp(at, text, n) == 0) {
			*ret_number = index;
			return 0;
		}
		at = bar ? bar + 1 : NULL;
	}
	return -EINVAL;
}

static void text_add(struct alcor_fake_value *value, const char *text)
{
	char *at = value->text;

	if (!(value->param->flags & ALCOR_PARAM_REPEAT))
		value->count = 0;
	for (uint32_t i = 0; i < value->count; i++)
		at += strlen(at) + 1;
	if (strlen(text) >= sizeof(value->text) - (size_t)(at - value->text))
		alcor_fake_die("%s: too long", value->param->name);
	strcpy(at, text);
	value->count++;
}

static int value_set(struct alcor_fake *fake, const struct alcor_param *param, const char *text)
{
	struct alcor_fake_value *value = &fake->values[param - fake->claim->params];
	int ret = 0;

	switch (param->type) {
	case ALCOR_PARAM_BOOL:
		value->number = !strcmp(text, "on") || !strcmp(text, "true");
		if (!value->number && strcmp(text, "off") != 0 && strcmp(text, "false") != 0)
			ret = -EINVAL;
		break;
	case ALCOR_PARAM_U64:
	case ALCOR_PARAM_SIZE:
	case ALCOR_PARAM_FD:
		ret = number_parse(param, text, &value->number);
		break;
	case ALCOR_PARAM_ENUM:
		ret = choice_parse(param->choices, text, &value->number);
		break;
	}
	if (ret)
		return alcor_error(&fake->dev, ret, "%s: wrong value \"%s\"", param->name, text);
	value->param = param;
	text_add(value, text);
	return 0;
}

static int params_parse(struct alcor_fake *fake, char *params)
{
	char *save = NULL;

	for (char *item = strtok_r(params, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		char *equals = strchr(item, '=');
		const struct alcor_param *param;
		int ret;

		if (equals)
			*equals = '\0';
		param = param_find(fake->claim, equals ? item : NULL);
		if (!param)
			return alcor_error(&fake->dev, -EINVAL, "%s: no such parameter", item);
		ret = value_set(fake, param, equals ? equals + 1 : item);
		if (ret)
			return ret;
	}
	return 0;
}

int alcor_fake_create(struct alcor_fake *fake, const char *params)
{
	char *copy = strdup(params);
	int ret;

	memset(fake->values, 0, sizeof(fake->values));
	for (uint32_t i = 0; i < fake->claim->n_params; i++) {
		const struct alcor_param *param = &fake->claim->params[i];

		if (param->dflt && value_set(fake, param, param->dflt))
			alcor_fake_die("%s: wrong default", param->name);
	}
	ret = copy ? params_parse(fake, copy) : -ENOMEM;
	free(copy);
	for (uint32_t i = 0; i < fake->claim->n_params && !ret; i++) {
		const struct alcor_param *param = &fake->claim->params[i];

		if ((param->flags & ALCOR_PARAM_REQUIRED) && !fake->values[i].param)
			ret = alcor_error(&fake->dev, -EINVAL, "%s: missing", param->name);
	}
	if (ret)
		return ret;
	fake->error[0] = '\0';
	ret = fake->claim->ops->create(&fake->dev, &fake->priv);
	if (ret && !fake->error[0])
		alcor_fake_die("create() failed without a text");
	return ret;
}

static uint32_t cfg_count(struct alcor_dev *dev, const char *key)
{
	struct alcor_fake_value *value = value_find(alcor_fake_of(dev), key);

	return value ? value->count : 0;
}

static const char *cfg_str(struct alcor_dev *dev, const char *key, uint32_t index)
{
	struct alcor_fake_value *value = value_find(alcor_fake_of(dev), key);
	const char *text;

	if (!param_find(alcor_fake_of(dev)->claim, key))
		alcor_fake_die("%s: not in the table of parameters", key);
	if (!value || index >= value->count)
		return NULL;
	text = value->text;
	while (index--)
		text += strlen(text) + 1;
	return text;
}

static uint64_t cfg_u64(struct alcor_dev *dev, const char *key)
{
	struct alcor_fake_value *value = value_find(alcor_fake_of(dev), key);

	if (!param_find(alcor_fake_of(dev)->claim, key))
		alcor_fake_die("%s: not in the table of parameters", key);
	return value ? value->number : 0;
}

static int cfg_mac(struct alcor_dev *dev, const char *key, uint8_t ret_mac[6])
{
	struct alcor_fake_value *value = value_find(alcor_fake_of(dev), key);
	uint8_t mac[6];

	if (!value || sscanf(value->text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
			     &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		return -ENOENT;
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}

const struct alcor_cfg alcor_fake_cfg = {
	.struct_size = sizeof(alcor_fake_cfg),
	.count = cfg_count,
	.str = cfg_str,
	.u64 = cfg_u64,
	.mac = cfg_mac,
};
