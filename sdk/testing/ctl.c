/* SPDX-License-Identifier: Apache-2.0 */
/* Run-time properties: the test plays the user. */
#include <errno.h>

#include "alcor_testing.h"

static struct alcor_fake_property *property_find(struct alcor_fake *fake, const char *name)
{
	for (unsigned i = 0; i < fake->n_properties; i++) {
		if (!strcmp(fake->properties[i].desc.name, name))
			return &fake->properties[i];
	}
	return NULL;
}

static int ctl_add(struct alcor_dev *dev, const struct alcor_ctl_property *desc, void *opaque)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	if (desc->struct_size != sizeof(*desc) || !desc->name || !desc->help || !desc->get ||
	    fake->n_properties == ALCOR_FAKE_PROPERTIES)
		alcor_fake_die("ctl: wrong property");
	if (property_find(fake, desc->name))
		return -EEXIST;
	fake->properties[fake->n_properties++] = (struct alcor_fake_property){ *desc, opaque };
	return 0;
}

int alcor_fake_get(struct alcor_fake *fake, const char *name, struct alcor_ctl_value *ret_value)
{
	struct alcor_fake_property *property = property_find(fake, name);

	memset(ret_value, 0, sizeof(*ret_value));
	if (!property)
		return -ENOENT;
	return property->desc.get(property->opaque, property->desc.index, ret_value);
}

int alcor_fake_set(struct alcor_fake *fake, const char *name, const struct alcor_ctl_value *value)
{
	struct alcor_fake_property *property = property_find(fake, name);

	if (!property)
		return -ENOENT;
	if (!property->desc.set)
		return -EPERM;
	if (property->desc.type != ALCOR_PARAM_STR &&
	    (value->number < property->desc.min ||
	     (property->desc.max && value->number > property->desc.max)))
		return -ERANGE;
	return property->desc.set(property->opaque, property->desc.index, value);
}

const struct alcor_ctl alcor_fake_ctl = {
	.struct_size = sizeof(alcor_fake_ctl),
	.add = ctl_add,
};
