/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a device: create, realize, (resume, pause)*, reset at any time between, destroy.
 * A failing create() has undone itself and is asked nothing more; after a failing realize() comes
 * destroy(). In all cases the host then revokes what was registered.
 */
#include <errno.h>
#include <stdlib.h>

#include "plugin/device_impl.h"
#include "plugin/plugin.h"
#include "util/cleanup.h"

#define DEVICE_ID_MAX	  64
#define DEVICE_NUMBER_MAX 65536

static const struct alcor_param common_rows[] = {
	{ .name = "id", .help = "name of the device, unique in the VM", .type = ALCOR_PARAM_STR },
	{ .name = "packed",
	  .help = "offer the packed virtqueue format",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
};

const struct param_table *device_common_params(const struct alcor_claim *claim)
{
	static const struct param_table plain = { common_rows, 1, sizeof(common_rows[0]) };
	static const struct param_table virtio = { common_rows, 2, sizeof(common_rows[0]) };

	return claim->caps & ALCOR_CAP_VIRTIO ? &virtio : &plain;
}

void device_set_detail(struct device *dev, const struct error *detail)
{
	if (dev->stage != DEVICE_LIVE)
		dev->detail = *detail;
}

int device_refuse(struct device *dev, int err_no, const char *fmt, ...)
{
	struct error detail;
	va_list ap;

	va_start(ap, fmt);
	error_vset(&detail, err_no, fmt, ap);
	va_end(ap);
	device_set_detail(dev, &detail);
	return err_no;
}

int device_check_realize(struct device *dev, const char *what)
{
	if (dev->stage == DEVICE_REALIZE)
		return 0;
	log_limited(&dev->log_limit, LOG_ERROR, "%s: the plugin registers %s outside of realize()",
		    dev->id, what);
	return -EBUSY;
}

/* --- identity --- */

static bool id_taken(struct vm *vm, const char *id)
{
	struct vm_device *other;

	for (other = vm_devices(vm); other; other = other->next)
		if (!strcmp(other->name, id))
			return true;
	return false;
}

/* An id is part of messages, thread names and, one day, file names. */
static bool id_ok(const char *id)
{
	static const char extra[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-";
	size_t len = strlen(id);

	return len > 0 && len <= DEVICE_ID_MAX && strspn(id, extra) == len && id[0] != '.' &&
	       id[0] != '-';
}

static int choose_id(struct device *dev, struct error *err)
{
	const char *given = params_str(dev->params, "id", 0);
	unsigned number;

	if (given && !id_ok(given))
		return error_set(err, -EINVAL,
				 "id: '%s' is no name of at most %d letters, digits, '.', '_', '-'",
				 given, DEVICE_ID_MAX);
	if (given && id_taken(dev->vm, given))
		return error_set(err, -EEXIST, "id: '%s' is the id of another device", given);
	if (given) {
		dev->id = strdup(given);
		return dev->id ? 0 : error_errno(err, -ENOMEM, "id");
	}
	for (number = 0; number < DEVICE_NUMBER_MAX; number++) {
		free(dev->id);
		if (asprintf(&dev->id, "%s%u", dev->claim->dev_class, number) < 0) {
			dev->id = NULL;
			return error_errno(err, -ENOMEM, "id");
		}
		if (!id_taken(dev->vm, dev->id))
			return 0;
	}
	return error_set(err, -E2BIG, "too many devices");
}

/* --- as the VM sees it --- */

struct ops_call {
	struct device *dev;
	int (*fn)(void *priv);
	int ret;
};

static void run_ops_call(void *opaque)
{
	struct ops_call *call = opaque;

	device_enter(call->dev);
	call->ret = call->fn(call->dev->priv);
	device_leave(call->dev);
}

static int call_ops(struct device *dev, int (*fn)(void *priv))
{
	struct ops_call call = { .dev = dev, .fn = fn };

	if (fn)
		device_call(dev, run_ops_call, &call);
	return call.ret > 0 ? 0 : call.ret;
}

static int device_resume(struct vm_device *vmdev)
{
	struct device *dev = container_of(vmdev, struct device, vmdev);
	int ret = device_loop_start(dev);

	return ret ? ret : call_ops(dev, dev->claim->ops->resume);
}

static void device_pause(struct vm_device *vmdev)
{
	struct device *dev = container_of(vmdev, struct device, vmdev);
	int ret = call_ops(dev, dev->claim->ops->pause);

	if (ret)
		log_warn("%s: pause: %s", dev->id, strerror(-ret));
}

static void run_reset(void *opaque)
{
	struct device *dev = opaque;

	device_enter(dev);
	dev->claim->ops->reset(dev->priv, ALCOR_RESET_WARM);
	device_leave(dev);
}

/* The transport first: it has the plugin drop its requests. */
static void device_reset(struct vm_device *vmdev)
{
	struct device *dev = container_of(vmdev, struct device, vmdev);

	if (dev->virtio_pci)
		virtio_pci_reset(dev->virtio_pci);
	if (dev->claim->ops->reset)
		device_call(dev, run_reset, dev);
}

/* --- the end --- */

/* Accepts a half-built device. The plugin's callbacks are over. */
static void device_free(struct device *dev)
{
	svc_io_revoke(dev);
	svc_pci_revoke(dev);
	svc_virtio_revoke(dev);
	svc_console_revoke(dev);
	svc_ctl_revoke(dev);
	svc_loop_revoke(dev);
	device_loop_free(dev);
	params_free(dev->params);
	pthread_cond_destroy(&dev->loop_serves);
	pthread_mutex_destroy(&dev->loop_lock);
	pthread_mutex_destroy(&dev->lock);
	free(dev->id);
	free(dev->option);
	free(dev);
}

/* Registrations live until the plugin has ended its own threads, which may still use them. */
static void device_end(struct device *dev)
{
	dev->claim->ops->destroy(dev->priv);
	device_free(dev);
}

static void device_destroy(struct vm_device *vmdev)
{
	struct device *dev = container_of(vmdev, struct device, vmdev);

	if (dev->virtio)
		virtio_machine_reset(dev->virtio);
	device_loop_stop(dev);
	device_end(dev);
}

/* --- the beginning --- */

/* Takes @params over, also when it fails. */
static int device_new(struct vm *vm, const struct alcor_claim *claim, const char *option,
		      struct params *params, struct device **ret_dev)
{
	struct device *dev = calloc(1, sizeof(*dev));

	if (!dev) {
		params_free(params);
		return -ENOMEM;
	}
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_init(&dev->loop_lock, NULL);
	pthread_cond_init(&dev->loop_serves, NULL);
	dev->vm = vm;
	dev->claim = claim;
	dev->params = params;
	dev->vmdev = (struct vm_device){
		.reset = device_reset,
		.resume = device_resume,
		.pause = device_pause,
		.destroy = device_destroy,
	};
	dev->option = strdup(option);
	if (!dev->option) {
		device_free(dev);
		return -ENOMEM;
	}
	*ret_dev = dev;
	return 0;
}

/* The plugin's words, else the service's, else the number's. */
static int step_failed(struct device *dev, const char *step, int ret, struct error *err)
{
	if (ret > 0)
		ret = -EINVAL;
	if (*dev->detail.text)
		return error_set(err, ret, "%s", dev->detail.text);
	return error_errno(err, ret, "%s", step);
}

/* Accesses of the guest go the way that the strictest of the thread model and the services used
 * demands: virtio callbacks are the loop's without a lock, so registers beside them are too. */
static int choose_access(struct device *dev)
{
	struct loop *loop;

	if (!dev->has_regs)
		return 0;
	if (dev->claim->thread_model == ALCOR_THREAD_PARALLEL)
		dev->access = DEVICE_DIRECT;
	else if (dev->claim->thread_model == ALCOR_THREAD_LOOP || dev->virtio)
		dev->access = DEVICE_ON_LOOP;
	return dev->access == DEVICE_ON_LOOP ? device_loop(dev, &loop) : 0;
}

static int device_create(struct device *dev, struct error *err)
{
	int ret = choose_id(dev, err);

	if (ret)
		return ret;
	dev->vmdev.name = dev->id;
	dev->pub.id = dev->id;
	dev->pub.host = plugin_host();
	dev->stage = DEVICE_CREATE;
	ret = dev->claim->ops->create(&dev->pub, &dev->priv);
	return ret ? step_failed(dev, "create", ret, err) : 0;
}

static int device_realize(struct device *dev, struct error *err)
{
	int ret = 0;

	*dev->detail.text = '\0';
	dev->stage = DEVICE_REALIZE;
	if (dev->claim->ops->realize)
		ret = dev->claim->ops->realize(dev->priv);
	dev->stage = DEVICE_LIVE;
	if (!ret)
		ret = choose_access(dev);
	return ret ? step_failed(dev, "realize", ret, err) : 0;
}

int device_add(struct vm *vm, const struct alcor_claim *claim, const char *option,
	       struct params *params, struct error *err)
{
	struct device *dev = NULL;
	int ret;

	ret = device_new(vm, claim, option, params, &dev);
	if (ret)
		return error_errno(err, ret, "%s", option);
	ret = device_create(dev, err);
	if (ret) {
		device_free(dev);
		goto out_failed;
	}
	ret = device_realize(dev, err);
	if (ret) {
		device_end(dev);
		goto out_failed;
	}
	vm_add_device(vm, &dev->vmdev);
	return 0;

out_failed:
	error_prefix(err, "%s", option);
	return ret;
}
