/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.ctl/1: run-time properties, and the user's way to them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "config/value.h"
#include "plugin/ctl.h"
#include "plugin/device_impl.h"
#include "plugin/svc.h"
#include "util/cleanup.h"

#define CTL_LINE_MAX 512

/* --- registration --- */

static struct device_property *property_find(struct device *dev, const char *name)
{
	struct device_property *property;

	LIST_FOREACH(property, &dev->properties, link)
		if (!strcmp(property->desc.name, name))
			return property;
	return NULL;
}

static const char *property_flaw(const struct alcor_ctl_property *desc)
{
	static const char extra[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = desc->name ? strlen(desc->name) : 0;

	if (!len || len > CTL_NAME_MAX || strspn(desc->name, extra) != len || desc->name[0] < 'a' ||
	    desc->name[0] > 'z')
		return "a property without a proper name";
	if (!desc->get || !desc->help)
		return "a property without a callback or help";
	if (desc->type != ALCOR_PARAM_U64 && desc->type != ALCOR_PARAM_SIZE &&
	    desc->type != ALCOR_PARAM_BOOL && desc->type != ALCOR_PARAM_STR)
		return "a property of unknown type";
	return NULL;
}

/* The list keeps the order of the calls. */
static void property_append(struct device *dev, struct device_property *property)
{
	struct device_property *last = LIST_FIRST(&dev->properties);

	while (last && LIST_NEXT(last, link))
		last = LIST_NEXT(last, link);
	if (last)
		LIST_INSERT_AFTER(last, property, link);
	else
		LIST_INSERT_HEAD(&dev->properties, property, link);
}

static int svc_ctl_add(struct alcor_dev *pub, const struct alcor_ctl_property *from, void *opaque)
{
	struct device *dev = device_of(pub);
	struct device_property *property;
	struct alcor_ctl_property desc;
	const char *flaw;
	int ret = device_check_realize(dev, "a property");

	if (ret)
		return ret;
	device_copy_sized(&desc, sizeof(desc), from);
	flaw = property_flaw(&desc);
	if (flaw)
		return device_refuse(dev, -EINVAL, "%s", flaw);
	if (property_find(dev, desc.name))
		return device_refuse(dev, -EEXIST, "a second property '%s'", desc.name);
	property = calloc(1, sizeof(*property));
	if (!property)
		return -ENOMEM;
	property->desc = desc;
	property->opaque = opaque;
	property_append(dev, property);
	return 0;
}

void svc_ctl_revoke(struct device *dev)
{
	struct device_property *property;

	while ((property = LIST_FIRST(&dev->properties))) {
		LIST_REMOVE(property, link);
		free(property);
	}
}

const struct alcor_ctl svc_ctl = {
	.struct_size = sizeof(svc_ctl),
	.add = svc_ctl_add,
};

/* --- the plugin's callbacks, on the device's loop --- */

struct ctl_call {
	struct device *dev;
	const struct device_property *property;
	bool set;
	struct alcor_ctl_value value;
	int ret;
};

static void run_call(void *opaque)
{
	struct ctl_call *call = opaque;
	const struct device_property *property = call->property;
	const struct alcor_ctl_property *desc = &property->desc;

	device_enter(call->dev);
	if (call->set)
		call->ret = desc->set(property->opaque, desc->index, &call->value);
	else
		call->ret = desc->get(property->opaque, desc->index, &call->value);
	device_leave(call->dev);
}

static int call_property(struct ctl_call *call)
{
	call->ret = -ENOMEM; /* when it cannot be posted */
	device_call(call->dev, run_call, call);
	return MIN(call->ret, 0);
}

/* --- values as text --- */

static void value_to_text(const struct alcor_ctl_property *desc, struct alcor_ctl_value *value,
			  char *ret_text, size_t len)
{
	char size[VALUE_SIZE_TEXT];

	switch (desc->type) {
	case ALCOR_PARAM_SIZE:
		snprintf(ret_text, len, "%s", value_size_text(value->number, size));
		break;
	case ALCOR_PARAM_BOOL:
		snprintf(ret_text, len, "%s", value->number ? "on" : "off");
		break;
	case ALCOR_PARAM_STR:
		value->text[sizeof(value->text) - 1] = '\0';
		/* What a guest may have had a part in is shown on a terminal. */
		for (char *c = value->text; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				*c = '?';
		snprintf(ret_text, len, "%s", value->text);
		break;
	default:
		snprintf(ret_text, len, "%" PRIu64, value->number);
	}
}

static int number_from_text(const struct alcor_ctl_property *desc, const char *text,
			    uint64_t *ret_number, struct error *err)
{
	struct alcor_param row = {
		.type = desc->type,
		.min = desc->min,
		.max = desc->max,
	};
	char bound[VALUE_SIZE_TEXT];
	uint64_t number;
	int ret = value_u64(text, &number, err);

	if (ret)
		return ret;
	if (number < desc->min)
		return error_set(err, -ERANGE, "%s is below the minimum, %s", text,
				 param_bound_text(&row, desc->min, bound));
	if (desc->max && number > desc->max)
		return error_set(err, -ERANGE, "%s is above the maximum, %s", text,
				 param_bound_text(&row, desc->max, bound));
	*ret_number = number;
	return 0;
}

static int value_from_text(const struct alcor_ctl_property *desc, const char *text,
			   struct alcor_ctl_value *ret_value, struct error *err)
{
	size_t len = strlen(text);
	bool on;
	int ret;

	switch (desc->type) {
	case ALCOR_PARAM_BOOL:
		ret = value_bool(text, &on, err);
		if (!ret)
			ret_value->number = on;
		return ret;
	case ALCOR_PARAM_STR:
		if (len >= sizeof(ret_value->text))
			return error_set(err, -EINVAL, "more than %zu bytes",
					 sizeof(ret_value->text) - 1);
		memcpy(ret_value->text, text, len + 1);
		return 0;
	default:
		return number_from_text(desc, text, &ret_value->number, err);
	}
}

/* --- for the user --- */

/* An id may have dots, the name of a property has none. */
static int property_lookup(struct vm *vm, const char *name, struct ctl_call *ret_call,
			   struct error *err)
{
	const char *dot = strrchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : 0;
	struct device_property *property;
	struct vm_device *vmdev;

	if (!len || !dot[1])
		return error_set(err, -EINVAL, "'%s' is not of the form ID.NAME", name);
	for (vmdev = vm_devices(vm); vmdev; vmdev = vmdev->next)
		if (strlen(vmdev->name) == len && !memcmp(vmdev->name, name, len))
			break;
	if (!vmdev)
		return error_set(err, -ENODEV, "there is no device '%.*s'", (int)len, name);
	ret_call->dev = container_of(vmdev, struct device, vmdev);
	property = property_find(ret_call->dev, dot + 1);
	if (!property)
		return error_set(err, -ENOENT, "device '%s' has no property '%s'", vmdev->name,
				 dot + 1);
	ret_call->property = property;
	return 0;
}

static int ctl_get(struct vm *vm, const char *name, char *ret_text, size_t len, struct error *err)
{
	struct ctl_call call = { .set = false };
	int ret = property_lookup(vm, name, &call, err);

	if (ret)
		return ret;
	ret = call_property(&call);
	if (ret == -ENODATA)
		return error_set(err, ret, "%s: no value yet", name);
	if (ret)
		return error_errno(err, ret, "%s", name);
	value_to_text(&call.property->desc, &call.value, ret_text, len);
	return 0;
}

static int ctl_set(struct vm *vm, const char *name, const char *text, struct error *err)
{
	struct ctl_call call = { .set = true };
	int ret = property_lookup(vm, name, &call, err);

	if (ret)
		return ret;
	if (!call.property->desc.set)
		return error_set(err, -EPERM, "%s can only be read", name);
	ret = value_from_text(&call.property->desc, text, &call.value, err);
	if (ret) {
		error_prefix(err, "%s", name);
		return ret;
	}
	ret = call_property(&call);
	return ret ? error_errno(err, ret, "%s", name) : 0;
}

static void list_property(struct device *dev, const struct device_property *property,
			  void (*print)(void *opaque, const char *text), void *opaque)
{
	struct ctl_call call = { .dev = dev, .property = property };
	char name[128], value[ALCOR_CTL_TEXT_MAX] = "-", line[CTL_LINE_MAX];

	if (!call_property(&call))
		value_to_text(&property->desc, &call.value, value, sizeof(value));
	snprintf(name, sizeof(name), "%s.%s", dev->id, property->desc.name);
	snprintf(line, sizeof(line), "%-28s %-12s %s%s\n", name, value, property->desc.help,
		 property->desc.set ? "" : " (read-only)");
	print(opaque, line);
}

/* In the order of creation: the VM's list has the latest first. */
static void list_devices(struct vm_device *vmdev, void (*print)(void *opaque, const char *text),
			 void *opaque)
{
	struct device_property *property;
	struct device *dev;

	if (!vmdev)
		return;
	list_devices(vmdev->next, print, opaque);
	dev = container_of(vmdev, struct device, vmdev);
	LIST_FOREACH(property, &dev->properties, link)
		list_property(dev, property, print, opaque);
}

static void ctl_list(struct vm *vm, void (*print)(void *opaque, const char *text), void *opaque)
{
	list_devices(vm_devices(vm), print, opaque);
}

const struct vm_ctl_ops ctl_ops = {
	.list = ctl_list,
	.get = ctl_get,
	.set = ctl_set,
};
